//! A list to choose from, with a line to narrow it down.

use instar_protocol::Timestamp;
use instar_protocol::api::SessionInfo;

use super::state::ModelRow;
use super::text::{clean, clean_line};
use crate::out::{ago, dollars};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Session,
    Model,
}

/// A row. Its words are safe to print; its id is what is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) words: String,
    pub(crate) detail: String,
}

#[derive(Debug)]
pub(crate) struct Picker {
    pub(crate) what: What,
    pub(crate) filter: String,
    /// Absent until the gateway answered.
    rows: Option<Vec<Row>>,
    /// The filter that the rows are the answer to.
    answered: Option<String>,
    /// Set once the first of the rows is wanted that are still on their way.
    pub(crate) wants_first: bool,
    pub(crate) at: usize,
}

impl Picker {
    pub(crate) fn new(what: What) -> Self {
        Self {
            what,
            filter: String::new(),
            rows: None,
            answered: None,
            wants_first: false,
            at: 0,
        }
    }

    /// True while the rows are those of another filter.
    pub(crate) fn is_behind(&self) -> bool {
        self.what == What::Session && self.answered.as_ref() != Some(&self.filter)
    }

    pub(crate) fn loading(&self) -> bool {
        self.rows.is_none()
    }

    pub(crate) fn fill_sessions(&mut self, sessions: &[SessionInfo], now: Timestamp) {
        let rows = sessions.iter().map(|session| Row {
            id: session.key.clone(),
            words: clean_line(&session.title, 120),
            detail: format!(
                "{} · {} entries · {}{}",
                clean_line(&session.key, 48),
                session.entries,
                match session.cost_micros {
                    0 => String::new(),
                    micros => format!("{} · ", dollars(micros)),
                },
                ago(session.updated_at, now)
            ),
        });
        self.rows = Some(rows.collect());
        self.answered = Some(self.filter.clone());
        self.at = 0;
    }

    pub(crate) fn fill_models(&mut self, models: &[ModelRow]) {
        let back = Row {
            id: "default".to_owned(),
            words: "default".to_owned(),
            detail: "what the agent is set to".to_owned(),
        };
        let usable = models.iter().filter(|model| model.configured);
        let rows = usable.map(|model| Row {
            id: model.id.clone(),
            words: clean_line(&model.id, 80),
            detail: clean_line(&model.auth, 60),
        });
        self.rows = Some(std::iter::once(back).chain(rows).collect());
        self.at = 0;
    }

    /// The rows that the filter leaves. Conversations are filtered by the gateway, which knows all.
    pub(crate) fn rows(&self) -> Vec<&Row> {
        let filter = self.filter.to_lowercase();
        let rows = self.rows.iter().flatten();
        rows.filter(|row| self.what == What::Session || row.words.to_lowercase().contains(&filter))
            .collect()
    }

    pub(crate) fn chosen(&self) -> Option<String> {
        self.rows().get(self.at).map(|row| row.id.clone())
    }

    pub(crate) fn move_by(&mut self, rows: isize) {
        let last = self.rows().len().saturating_sub(1);
        self.at = self.at.saturating_add_signed(rows).min(last);
    }

    /// Adds to the filter.
    pub(crate) fn narrow(&mut self, text: &str) {
        if self.filter.len() + text.len() <= 100 {
            self.filter.push_str(&clean(text).replace('\n', " "));
        }
        self.wants_first = false;
        self.at = 0;
    }

    pub(crate) fn widen(&mut self) {
        self.filter.pop();
        self.wants_first = false;
        self.at = 0;
    }
}
