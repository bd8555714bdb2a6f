//! Whom the owner knows, on the page of policy: whom he wrote to first, with a button each that makes
//! them unknown again, and those of the configuration.

use instar_protocol::contact::{Contact, Contacts};
use maud::{Markup, html};

use crate::web::act::{Act, Forms};
use crate::web::frame::{coded, moment};
use crate::web::words::Words;

pub(super) fn people(words: &Words, forms: &Forms, known: &Contacts) -> Markup {
    html! {
        section id="known" {
            h2 { (words.known_people) }
            p class="soft" { (coded(words.known_note)) }
            @if known.contacts.is_empty() && known.entered.is_empty() { p { (words.known_nobody) } } @else {
                div class="wide" tabindex="0" { table class="rows" {
                    thead { tr { th scope="col" { (words.known_who) } th scope="col" { (words.known_by) }
                        th scope="col" { (words.when) } th scope="col" { span class="sr" { (words.what) } } } }
                    tbody {
                        @for one in &known.contacts { (met(words, forms, one)) }
                        @for who in &known.entered { tr {
                            td class="main" { (who) } td { code { "policy.contacts" } } td {} td {}
                        } }
                    }
                } }
            }
        }
    }
}

fn met(words: &Words, forms: &Forms, one: &Contact) -> Markup {
    let act = Act {
        method: "POST",
        path: "/api/v1/policy/contacts/forget",
        then: "/policy#known",
        script: "reload",
    };
    html! {
        tr {
            td class="main" { (one.text) }
            td { (words.known_by_message) " " code { (one.tool) } }
            td { (moment(one.at)) }
            td class="acts" { (forms.form(act, &html! {
                input type="hidden" name="text" value=(one.text);
                button class="bad" { (words.known_forget) }
            })) }
        }
    }
}
