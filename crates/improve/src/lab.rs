//! One cycle: events in, what was found in each out, and at the end what the next cycle is to know.
//!
//! Nothing is counted here. What is said is a proposal: the gateway knows the events itself, checks what
//! is said of them, and counts. All that is kept between cycles is bounded by the miner's groups and by
//! what a watch keeps of runs.

use instar_protocol::event::Event;
use instar_protocol::lab::{Chosen, Closing, Found, SIGNS_MAX, ToLab};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use crate::cluster::{GroupId, Kept, Miner};
use crate::heal;
use crate::signal::{KeptWatch, Sign, Watch};

/// Characters of a line that are grouped.
const LINE_CHARS_MAX: usize = 600;

/// The work of one cycle.
#[derive(Default, Debug)]
pub struct Lab {
    miner: Miner,
    watch: Watch,
    born: BTreeMap<GroupId, String>,
    joined: Vec<(String, String)>,
}

/// What the next cycle is told.
#[derive(Default, Debug, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    groups: Vec<Kept>,
    born: BTreeMap<GroupId, String>,
    watch: KeptWatch,
}

/// What is answered.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Said {
    Found(Vec<Found>),
    Chosen(Chosen),
    Told(Vec<heal::Told>),
    Closing(Closing),
}

impl Lab {
    /// Answers what the gateway says; nothing where no answer is due.
    pub fn hear(&mut self, words: ToLab) -> Option<Said> {
        match words {
            ToLab::Remember(memory) => {
                self.remember(memory);
                None
            }
            ToLab::Events(events) => {
                let found = events.iter().flat_map(|event| self.take(event));
                Some(Said::Found(found.collect()))
            }
            ToLab::Choose(case) => Some(Said::Chosen(heal::choose(&case).unwrap_or_default())),
            ToLab::Explain { case, fault } => {
                Some(Said::Told(heal::explain(&case, &fault).unwrap_or_default()))
            }
            ToLab::Close => Some(Said::Closing(self.close())),
        }
    }

    /// Goes on where the last cycle ended; begins anew if that cannot be read.
    fn remember(&mut self, memory: Value) {
        let memory: Memory = serde_json::from_value(memory).unwrap_or_default();
        self.miner = Miner::resume(&memory.groups);
        self.born = memory.born;
        self.watch = Watch::resume(memory.watch);
    }

    /// What is found in the next event.
    pub fn take(&mut self, event: &Event) -> Vec<Found> {
        let mut signs = self.watch.take(event);
        signs.truncate(SIGNS_MAX);
        signs
            .into_iter()
            .map(|sign| self.found(event, sign))
            .collect()
    }

    fn found(&mut self, event: &Event, sign: Sign) -> Found {
        let text: String = sign.text.chars().take(LINE_CHARS_MAX).collect();
        let (born, template) = self.templates(&text);
        Found {
            event: event.id.clone(),
            kind: sign.kind,
            detail: sign.detail,
            born,
            template,
            also: sign.also,
            text,
        }
    }

    /// The template that a text was first known under, and the one it has now.
    fn templates(&mut self, text: &str) -> (String, String) {
        if text.is_empty() {
            return (String::new(), String::new());
        }
        let group = self.miner.add(text);
        let template = self.miner.template(group).unwrap_or_default();
        for join in self.miner.take_joins() {
            let gone = self.born.remove(&join.gone);
            let kept = self.born.get(&join.kept);
            if let (Some(gone), Some(kept)) = (gone, kept) {
                self.joined.push((gone, kept.clone()));
            }
        }
        let born = self.born.entry(group).or_insert_with(|| template.clone());
        (born.clone(), template)
    }

    fn close(&mut self) -> Closing {
        let groups = self.miner.keep();
        let held = |group: &GroupId| {
            groups
                .binary_search_by_key(group, |kept| kept.group)
                .is_ok()
        };
        self.born.retain(|group, _| held(group));
        let memory = Memory {
            born: std::mem::take(&mut self.born),
            watch: self.watch.keep(),
            groups,
        };
        Closing {
            joined: std::mem::take(&mut self.joined),
            memory: serde_json::to_value(memory).unwrap_or_default(),
        }
    }
}
