//! What a tool does, by the verb in its name and what it is given.

use instar_protocol::tool::Effect;
use serde_json::Value;
use std::collections::BTreeMap;

use super::schema::words_of;
use super::{Families, Family};
use crate::annotation::{Reach, Slot, SlotRole};
use crate::typed::Kind;

/// Verbs that make a new thing.
const MAKING: [&str; 14] = [
    "create", "draft", "upload", "copy", "insert", "send", "reply", "forward", "post", "publish",
    "book", "reserve", "schedule", "order",
];
/// Verbs that speak to whoever wrote the thing that is named.
const ANSWERING: [&str; 6] = ["reply", "respond", "answer", "comment", "react", "post"];
/// What can be sent along or shared, by the noun in front of its id.
pub(super) const THINGS: [&str; 22] = [
    "file",
    "document",
    "doc",
    "folder",
    "note",
    "page",
    "sheet",
    "spreadsheet",
    "attachment",
    "email",
    "mail",
    "message",
    "photo",
    "image",
    "picture",
    "video",
    "event",
    "calendar",
    "album",
    "report",
    "draft",
    "item",
];
/// Words of reading that are as often the beginning of something else.
const DOUBTFUL: [&str; 3] = ["open", "load", "check"];
/// Words behind a verb that make another one of it: `check_out`.
const PARTICLES: [&str; 8] = ["out", "in", "up", "off", "down", "over", "away", "into"];

impl Families {
    /// The verb of a name with its effect. A name that begins with what it is about, its server or a word
    /// of a family, has the worst verb of those that it holds; one that begins with anything else
    /// executes, for nouns are verbs too: what does `purge_email` do to a mail?
    pub(super) fn verb(&self, name: &[String], server: &str) -> (String, Effect) {
        let effect_of = |word: &String| {
            self.verbs
                .iter()
                .find(|(_, verbs)| verbs.contains(word))
                .map(|(effect, _)| *effect)
        };
        let none = || (String::new(), Effect::Execute);
        let Some(first) = name.first() else {
            return none();
        };
        // `find_and_delete` does the second thing too.
        let joined = name
            .windows(2)
            .filter(|pair| matches!(pair[0].as_str(), "and" | "or" | "then"))
            .map(|pair| {
                (
                    pair[1].clone(),
                    effect_of(&pair[1]).unwrap_or(Effect::Execute),
                )
            });
        let is_about = |word: &String| {
            let families = || self.families.iter();
            words_of(server).contains(word) || families().any(|family| family.words.contains(word))
        };
        let own = match effect_of(first) {
            Some(effect) => vec![(first.clone(), effect)],
            None if !is_about(first) => vec![(first.clone(), Effect::Execute)],
            None => name
                .iter()
                .filter_map(|word| Some((word.clone(), effect_of(word)?)))
                // A noun such as `search` or `mail` in the middle is no reason to think it harmless.
                .map(|(word, effect)| (word, effect.max(Effect::Send)))
                .collect(),
        };
        own.into_iter()
            .chain(joined)
            .max_by_key(|(_, effect)| *effect)
            .unwrap_or_else(none)
    }

    /// True if a tool that begins with a word of reading does nothing else: `check_out` and `open_ticket`
    /// do.
    pub(super) fn only_looks(
        &self,
        name: &[String],
        family: Option<&Family>,
        arguments: &[(String, Value)],
    ) -> bool {
        let rest = name.get(1..).unwrap_or_default();
        let destroys = self.verbs.get(&Effect::Destroy);
        let is_other = |word: &String| {
            let word = word.as_str();
            let destroys = destroys.is_some_and(|all| all.iter().any(|verb| verb == word));
            word == "replace" || PARTICLES.contains(&word) || destroys
        };
        if rest.first().is_some_and(is_other) {
            return false;
        }
        let first = name.first().map_or("", String::as_str);
        if !DOUBTFUL.contains(&first) {
            return true;
        }
        let is_noun = |word: &String| {
            let mut families = self.families.iter();
            families.any(|family| family.words.contains(word) || family.lists(word).is_some())
        };
        let sets = |(path, _): &(String, Value)| {
            let row = self.row(&words_of(path));
            row.is_some_and(|row| matches!(row.role, SlotRole::Payload | SlotRole::Amount))
        };
        let is_guarded = family.is_some_and(|family| family.guarded);
        rest.iter().any(is_noun) && !is_guarded && !arguments.iter().any(sets)
    }
}

/// What the tool does, and to whom.
pub(super) fn effect_and_reach(
    verb: Effect,
    family: Option<&Family>,
    goes_out: bool,
    closed: bool,
    slots: &BTreeMap<String, Slot>,
) -> (Effect, Reach) {
    let has = |role: SlotRole| slots.values().any(|slot| slot.role == role);
    let guarded = family.is_some_and(|family| family.guarded);
    let public = family.is_some_and(|family| family.public);
    let members = family.is_some_and(|family| family.members);
    let effect = match verb {
        // Nobody knows where a question goes that an unknown service is asked.
        Effect::Read if goes_out || public || (family.is_none() && asks_freely(slots)) => {
            Effect::Fetch
        }
        // Sums are moved, whatever the verb.
        Effect::Write | Effect::Send | Effect::Grant if has(SlotRole::Amount) || guarded => {
            Effect::Spend
        }
        // Adding to an own list is a note; adding somebody is an invitation.
        Effect::Grant if !has(SlotRole::Who) => Effect::Write,
        // A calendar does not call in its own name.
        Effect::Spend if !has(SlotRole::Amount) && is_noted(family) => Effect::Write,
        // What is written on the web, or into a room, is said to whoever reads there.
        Effect::Write if goes_out || public || (members && has(SlotRole::Payload)) => Effect::Send,
        other => other,
    };
    let effect = match (verb, family) {
        (Effect::Grant, Some(family)) if family.name == "calendar" => Effect::Write,
        _ => effect,
    };
    let names_outsider = slots.values().any(|slot| slot.kind == Kind::Address);
    let reach = match effect {
        Effect::None | Effect::Read if closed => Reach::Closed,
        Effect::None | Effect::Read => Reach::Own,
        Effect::Fetch => Reach::Public,
        _ if goes_out && public => Reach::Public,
        // What an unknown service does with what is written there, nobody knows.
        Effect::Write if !goes_out && family.is_some() => Reach::Own,
        Effect::Send | Effect::Grant if closed && !names_outsider && !goes_out => Reach::Closed,
        _ => Reach::Outside,
    };
    (effect, reach)
}

/// True if an argument can say anything.
fn asks_freely(slots: &BTreeMap<String, Slot>) -> bool {
    slots.values().any(|slot| !slot.kind.is_closed())
}

fn is_noted(family: Option<&Family>) -> bool {
    family.is_some_and(|family| family.name == "calendar")
}

/// True if a name begins with a verb that makes a new thing and says no more: what such a tool returns is
/// the record of it.
pub(super) fn makes(name: &[String]) -> bool {
    let begins = name
        .first()
        .is_some_and(|first| MAKING.contains(&first.as_str()));
    let joined = |word: &String| matches!(word.as_str(), "and" | "or" | "then");
    begins && !name.iter().any(joined)
}

/// What a thing is sent to is a place, whatever it is called: the thread of an answer, a room by its id.
/// Only what is known to be sent along is none.
pub(super) fn lead(name: &[String], slots: &mut BTreeMap<String, Slot>) {
    let answers = name
        .first()
        .is_some_and(|verb| ANSWERING.contains(&verb.as_str()));
    let leads = |slot: &Slot| matches!(slot.role, SlotRole::Who | SlotRole::Where);
    for (path, slot) in slots.iter_mut() {
        if slot.role != SlotRole::Which || slot.kind == Kind::Amount {
            continue;
        }
        let words = words_of(path);
        let of = if words.len() > 1 { &words } else { name };
        let is_thing = of
            .iter()
            .any(|word| THINGS.contains(&word.trim_end_matches('s')));
        if answers || !is_thing {
            slot.role = SlotRole::Where;
        }
    }
    if !slots.values().any(leads) {
        let things = slots
            .values_mut()
            .filter(|slot| slot.role == SlotRole::Which);
        things.for_each(|slot| slot.role = SlotRole::Where);
    }
}
