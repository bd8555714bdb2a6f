//! The order of authorities, part by part. What is not plainly narrower counts as wider.

use instar_policy::cedar::{Answer, RuleFile, Rules};
use instar_policy::{Authority, Profile, Role, ToolList};
use std::collections::BTreeSet;

/// How an authority stands to the one before it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    Equal,
    /// It allows nothing that was not allowed.
    Narrower,
    /// It may allow more, or cannot be compared; why, a line each.
    Wider(Vec<String>),
}

/// Compares each part in its own order. No solver is asked: a permit more in the owner's rules is wider.
#[must_use]
pub fn compare(before: &Authority, after: &Authority) -> Order {
    if before == after {
        return Order::Equal;
    }
    let mut wider = parts(before, after);
    wider.extend(rules(before, after));
    if wider.is_empty() {
        Order::Narrower
    } else {
        Order::Wider(wider)
    }
}

/// Every part but the owner's rules: where it may allow more, or cannot be compared.
#[must_use]
pub fn parts(before: &Authority, after: &Authority) -> Vec<String> {
    let mut wider = Vec::new();
    let mut same = |is: bool, what: &str| {
        if !is {
            wider.push(format!("{what} cannot be compared"));
        }
    };
    same(
        before.annotations == after.annotations,
        "what tools say of themselves",
    );
    same(before.base == after.base, "the built-in rules");
    same(before.sandbox == after.sandbox, "the walls around programs");
    if after.posture > before.posture {
        wider.push("the posture lets more through without a question".to_owned());
    }
    if !holds(before.allow.as_ref(), after.allow.as_ref()) {
        wider.push("the list of tools has more".to_owned());
    }
    if !stays_denied(&before.deny, &after.deny) {
        wider.push("a tool is no longer denied".to_owned());
    }
    profiles(before, after, &mut wider);
    if !lists(&before.lists, &after.lists) {
        wider.push("a list for some agents or people has more, or is gone".to_owned());
    }
    let (was, is) = (&before.known, &after.known);
    for (name, was, is) in [
        ("the owner's own addresses", &was.own, &is.own),
        ("known contacts", &was.contacts, &is.contacts),
        ("known destinations", &was.destinations, &is.destinations),
    ] {
        for new in is.difference(was) {
            wider.push(format!(
                "{name} have {} more",
                instar_protocol::redact::log_field(new)
            ));
        }
    }
    wider
}

/// True if the first list has all that the second has; no list has everything.
fn holds(outer: Option<&BTreeSet<String>>, inner: Option<&BTreeSet<String>>) -> bool {
    match (outer, inner) {
        (None, _) => true,
        (Some(outer), _) if outer.contains("*") => true,
        (Some(_), None) => false,
        (Some(outer), Some(inner)) => inner.is_subset(outer),
    }
}

fn stays_denied(before: &BTreeSet<String>, after: &BTreeSet<String>) -> bool {
    after.contains("*") || before.is_subset(after)
}

fn profiles(before: &Authority, after: &Authority, wider: &mut Vec<String>) {
    for role in [Role::Owner, Role::Contact, Role::Stranger, Role::Automation] {
        // Without a row the owner may use every tool, and nobody else any.
        let nothing = Profile::default();
        let of = |authority: &Authority| -> Option<BTreeSet<String>> {
            match (authority.profiles.get(&role), role) {
                (Some(row), _) => Some(row.tools.clone()),
                (None, Role::Owner) => None,
                (None, _) => Some(nothing.tools.clone()),
            }
        };
        if !holds(of(before).as_ref(), of(after).as_ref()) {
            wider.push(format!(
                "the profile of {} has more tools",
                crate::class::role(role)
            ));
        }
    }
}

/// Every list of before is there, or a narrower one in its place; more lists only take away.
fn lists(before: &[ToolList], after: &[ToolList]) -> bool {
    before.iter().all(|was| {
        after.iter().any(|is| {
            is.of == was.of
                && holds(was.allow.as_ref(), is.allow.as_ref())
                && stays_denied(&was.deny, &is.deny)
        })
    })
}

/// Where the owner's rules are not plainly narrower: files that were there must be unchanged, and new
/// ones may only forbid. For more than that a solver has to be asked.
#[must_use]
pub fn rules(before: &Authority, after: &Authority) -> Vec<String> {
    let (before, after) = (&before.rules, &after.rules);
    let mut wider = Vec::new();
    for was in before.files() {
        if !after.files().contains(was) {
            wider.push(format!("the rules in {} are other ones or gone", was.name));
        }
    }
    for is in after.files() {
        let is_new = before.files().iter().all(|was| was.name != is.name);
        if is_new && !only_forbids(is) {
            wider.push(format!("the rules in {} do more than forbid", is.name));
        }
    }
    wider
}

fn only_forbids(file: &RuleFile) -> bool {
    Rules::read(vec![file.clone()]).is_ok_and(|rules| {
        rules
            .all()
            .filter(|rule| rule.is_owners)
            .all(|rule| rule.answer == Answer::Never)
    })
}
