//! Carrying out commands. Every answer is a notice in the transcript, made without a model.

use instar_protocol::Label;
use instar_protocol::live::{LiveEvent, Outcome};
use instar_protocol::message::{EntryBody, InboxState, NoticeKind};
use instar_protocol::model::ModelRef;
use instar_store::Op;
use std::sync::Arc;

use crate::closing::{Closing, plain_outcome};
use crate::commands::{self, Command};
use crate::driver::Turn;

/// Whether watchers have seen the answer already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    NotYet,
    Already,
}

impl Turn {
    /// Does what the command says and words the answer.
    pub(crate) fn obey(&mut self, command: &Command, queued: usize) -> String {
        match command {
            Command::New | Command::Reset => {
                self.house.parts.tools.over(&self.key);
                let reason = "the owner asked for it".to_owned();
                self.append(EntryBody::Reset { reason }, Label::system());
                "A new conversation begins here.".to_owned()
            }
            Command::Stop => {
                self.house.parts.tools.over(&self.key);
                "Nothing is running any more.".to_owned()
            }
            Command::Status => self.status(queued),
            Command::ShowModel => {
                format!("The model of this conversation is {}.", self.model_name())
            }
            Command::SetModel(model) => self.set_model(model.clone()),
            // Needs a model and is a turn of its own.
            Command::Compact => String::new(),
            Command::Help | Command::Approve | Command::BadModel(_) | Command::Unknown { .. } => {
                commands::fixed_answer(command).unwrap_or_default()
            }
        }
    }

    fn set_model(&mut self, model: Option<ModelRef>) -> String {
        if let Some(model) = &model {
            let known = self.house.parts.models.list();
            if !known.iter().any(|info| info.provider == model.provider()) {
                return format!(
                    "There is no provider {}. instar models list shows those that there are.",
                    crate::fence::one_line(model.provider())
                );
            }
        }
        self.record
            .choose_model(model.as_ref().map(ToString::to_string));
        self.append(EntryBody::ModelChange { model }, Label::owner());
        format!("From now on this conversation uses {}.", self.model_name())
    }

    fn model_name(&mut self) -> String {
        match self.basis() {
            Ok(basis) => basis.chain[0].to_string(),
            Err(error) => format!("not set ({})", error.message),
        }
    }

    fn status(&mut self, queued: usize) -> String {
        let (model, window, release) = match self.basis() {
            Ok(basis) => (
                basis.chain[0].to_string(),
                self.house.parts.models.context_window(&basis.chain[0]),
                basis.served.release.id.short().to_owned(),
            ),
            Err(error) => (format!("none ({})", error.message), 0, "none".to_owned()),
        };
        let row = &self.record.row;
        let dollars = row.cost_micros / 1_000_000;
        let cents = row.cost_micros / 10_000 % 100;
        format!(
            "conversation {}\nagent {}, release {release}\nmodel {model}\nhistory about {} of {window} tokens\n\
             so far {} tokens in, {} out, {dollars}.{cents:02} dollars\nwaiting messages {queued}",
            self.key,
            self.record.agent(),
            self.window.tokens(),
            row.input_tokens,
            row.output_tokens,
        )
    }

    /// Stores the answer of a command and settles its message.
    pub(crate) async fn close_command(&mut self, text: String, told: Told) -> Closing {
        let said = self.said(&text);
        self.notice(NoticeKind::Command, said);
        let more: Vec<Op> = self
            .batch
            .iter()
            .map(|inbound| Op::SettleInbound {
                id: inbound.id.clone(),
                run: Some(self.run.clone()),
                state: InboxState::Done,
                at: self.house.now(),
            })
            .collect();
        if told == Told::NotYet {
            self.live.send(|| LiveEvent::Notice {
                kind: NoticeKind::Command,
                text: text.clone(),
            });
        }
        let outcome = Outcome {
            entries: self.record.entries.clone(),
            ..plain_outcome(text, None)
        };
        self.commit_end(more, Arc::new(outcome)).await
    }

    /// The command and its answer, as the transcript shows them.
    fn said(&self, text: &str) -> String {
        let asked = self
            .batch
            .first()
            .map(|inbound| instar_protocol::message::plain_text(&inbound.parts))
            .unwrap_or_default();
        format!("{}\n{text}", asked.trim())
    }
}
