//! Where a message is written. It is a plain form; the script of the page adds the rest.

use instar_agent::COMMANDS;
use maud::{Markup, html};

use super::frame::coded;
use super::words::Words;
use crate::api::media;
use crate::door::FORM_FIELD;

/// The longest text that the box takes.
const TEXT_CHARS_MAX: usize = 200_000;

/// What the forms of the chat page need to know.
#[derive(Debug)]
pub(super) struct Composer<'a> {
    pub(super) words: &'static Words,
    pub(super) key: &'a str,
    /// The token that our own forms carry.
    pub(super) token: &'a str,
    /// Makes a message that is sent twice the same message.
    pub(super) once: &'a str,
    /// The model that answers in this conversation.
    pub(super) model: &'a str,
    /// Those that may be chosen instead.
    pub(super) models: &'a [String],
    /// A turn is under way.
    pub(super) running: bool,
}

impl Composer<'_> {
    pub(super) fn draw(&self) -> Markup {
        let words = self.words;
        html! {
            div class="say" {
                button type="button" class="latest" data-latest="" hidden { (words.latest) span data-unread="" {} }
                (self.commands())
                ul class="shelf" data-shelf="" aria-label=(words.attachments)
                    data-images-max=(media::IMAGES_MAX) data-files-max=(media::FILES_MAX)
                    data-image-bytes-max=(media::IMAGE_BYTES_MAX) data-file-bytes-max=(media::FILE_BYTES_MAX)
                    data-total-bytes-max=(media::TOTAL_BYTES_MAX) {}
                div class="row" {
                    form method="post" action="/chat/say" data-session=(self.key) data-running=(self.running) {
                        (self.hidden())
                        input type="hidden" name="once" value=(self.once);
                        input class="hidden" type="file" multiple tabindex="-1" aria-label=(words.attach) data-files="";
                        button type="button" class="attach scripted" data-attach="" aria-label=(words.attach)
                            title={ (words.attach) " (" (limits(words)) ")" } { "+" }
                        label class="skip" for="say" { (words.message) }
                        textarea id="say" name="text" rows="1" maxlength=(TEXT_CHARS_MAX) placeholder=(words.write)
                            aria-autocomplete="list" aria-haspopup="listbox" aria-controls="commands" {}
                        button class="primary" data-send="" { (words.send) }
                    }
                    form method="post" action="/chat/stop" data-stop="" hidden[!self.running] {
                        (self.hidden())
                        button { (words.stop) }
                    }
                }
                p class="hint" {
                    span class="wrong-note" data-attach-trouble="" role="alert" {}
                    span data-status="" role="status" {}
                    noscript { (coded(words.chat_without_script)) }
                }
            }
        }
    }

    /// First the token: the door looks for it there.
    fn hidden(&self) -> Markup {
        html! {
            input type="hidden" name=(FORM_FIELD) value=(self.token);
            input type="hidden" name="session" value=(self.key);
        }
    }

    /// What completes itself behind a slash.
    fn commands(&self) -> Markup {
        html! {
            ul id="commands" role="listbox" aria-label=(self.words.commands) hidden {
                @for command in COMMANDS {
                    li id={ "command-" (command.name) } role="option" aria-selected="false"
                        data-command={ "/" (command.name) }
                        data-argument=[command.argument.map(|(name, _)| name)] {
                        code { "/" (command.name) } " "
                        span { (self.words.command(command.name).unwrap_or(command.about)) }
                    }
                }
            }
        }
    }
}

/// How much may go along.
fn limits(words: &Words) -> String {
    format!(
        "{} ≤ {} × {} MB, {} ≤ {} × {} MB",
        words.images,
        media::IMAGES_MAX,
        media::IMAGE_BYTES_MAX >> 20,
        words.text_files,
        media::FILES_MAX,
        media::FILE_BYTES_MAX >> 20,
    )
}

/// The model of this conversation, and those that may answer instead.
pub(super) fn model_menu(composer: &Composer<'_>) -> Markup {
    let words = composer.words;
    let is_listed = composer.models.iter().any(|model| model == composer.model);
    html! {
        form class="model" method="post" action="/chat/say" data-model="" {
            (composer.hidden())
            label class="skip" for="model" { (words.model_here) }
            select id="model" name="model" title=(words.model_here) {
                @if !is_listed { option value=(composer.model) selected { (composer.model) } }
                @for model in composer.models {
                    option value=(model) selected[model == composer.model] { (model) }
                }
                option value="default" { (words.usual_model) }
            }
            noscript { button { (words.choose) } }
        }
    }
}
