//! Wizards under way in the browser and over the control plane.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::Instant;

use super::step::{Refused, Step};
use super::wizard::{Now, Summary, Wizard};
use super::words::Tongue;
use super::work::{Setup, SetupError};

/// Wizards at once; the oldest gives way.
const WIZARDS_MAX: usize = 8;
/// A wizard that is left alone for this long is forgotten, and with it what was typed.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// Tasks between two questions; more would be a circle.
const TASKS_MAX: usize = 8;

/// The wizards under way, by id.
#[derive(Debug, Default)]
pub struct Desk {
    wizards: std::sync::Mutex<BTreeMap<String, Seat>>,
}

#[derive(Debug, Clone)]
struct Seat {
    at: Instant,
    run: Arc<Mutex<Run>>,
}

#[derive(Debug)]
struct Run {
    wizard: Wizard,
    setup: Setup,
}

/// What the face shows now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    pub session_id: String,
    pub done: bool,
    /// `running`, `done`, `cancelled`.
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// What came of it, at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
}

/// Why a wizard does not go on.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    #[error("this setup is over or was left alone for too long; begin again")]
    Gone,
    #[error("an answer to {0} is awaited, not to another question")]
    OtherStep(&'static str),
    #[error("the answer before is still being worked on")]
    Busy,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("there is no randomness to be had: {0}")]
    Random(getrandom::Error),
}

impl Desk {
    /// Begins, and says what to ask first.
    pub async fn start(&self, setup: Setup, tongue: Tongue) -> Result<View, DeskError> {
        let wizard = Wizard::new(setup.look().await?, tongue);
        let mut bytes = [0_u8; 16];
        getrandom::fill(&mut bytes).map_err(DeskError::Random)?;
        let id = hex::encode(bytes);
        let run = Arc::new(Mutex::new(Run { wizard, setup }));
        self.put(&id, &run);
        let mut run = run.lock_owned().await;
        Ok(self.go_on(id, &mut run).await)
    }

    /// Takes an answer, does what follows from it, and says what to ask next. Without an answer it
    /// only says it; an answer to another question than the one that stands is refused.
    pub async fn next(
        &self,
        id: &str,
        answer: Option<(&str, Option<Value>)>,
    ) -> Result<View, DeskError> {
        let mut run = self.seat(id)?;
        if let Some((step_id, value)) = answer {
            let Now::Ask(step) = run.wizard.now() else {
                return Ok(self.go_on(id.to_owned(), &mut run).await);
            };
            if step.id != step_id {
                return Err(DeskError::OtherStep(step.id));
            }
            run.wizard.answer(step.answer(value)?)?;
        }
        Ok(self.go_on(id.to_owned(), &mut run).await)
    }

    /// Returns to the question before.
    pub async fn back(&self, id: &str) -> Result<View, DeskError> {
        let mut run = self.seat(id)?;
        run.wizard.back()?;
        Ok(self.go_on(id.to_owned(), &mut run).await)
    }

    /// Forgets a wizard; what it wrote stays. False if there was none.
    pub fn cancel(&self, id: &str) -> bool {
        self.seats().remove(id).is_some()
    }

    /// True if the wizard is under way.
    #[must_use]
    pub fn is_running(&self, id: &str) -> bool {
        self.seats().contains_key(id)
    }

    /// Does tasks until something is to be asked, or everything is done.
    async fn go_on(&self, id: String, run: &mut Run) -> View {
        for _ in 0..TASKS_MAX {
            let task = match run.wizard.now() {
                Now::Work(task) => task.clone(),
                Now::Ask(_) | Now::Done(_) | Now::Declined => break,
            };
            let report = run.setup.perform(&task).await;
            run.wizard.report(report);
        }
        let (status, step, summary) = match run.wizard.now() {
            Now::Ask(step) => ("running", Some(*step), None),
            Now::Work(_) => ("running", None, None),
            Now::Done(summary) => ("done", None, Some(summary.clone())),
            Now::Declined => ("cancelled", None, None),
        };
        let done = status != "running";
        if done {
            self.seats().remove(&id);
        }
        View {
            session_id: id,
            done,
            status,
            step,
            summary,
        }
    }

    fn put(&self, id: &str, run: &Arc<Mutex<Run>>) {
        let mut seats = self.seats();
        let oldest = |seats: &BTreeMap<String, Seat>| {
            let oldest = seats.iter().min_by_key(|(_, seat)| seat.at);
            oldest.map(|(id, _)| id.clone())
        };
        while seats.len() >= WIZARDS_MAX {
            let Some(id) = oldest(&seats) else { break };
            seats.remove(&id);
        }
        let seat = Seat {
            at: Instant::now(),
            run: Arc::clone(run),
        };
        seats.insert(id.to_owned(), seat);
    }

    /// Sits down at a wizard, alone.
    fn seat(&self, id: &str) -> Result<OwnedMutexGuard<Run>, DeskError> {
        let mut seats = self.seats();
        let seat = seats.get_mut(id).ok_or(DeskError::Gone)?;
        seat.at = Instant::now();
        Arc::clone(&seat.run)
            .try_lock_owned()
            .map_err(|_| DeskError::Busy)
    }

    fn seats(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Seat>> {
        let mut seats = self
            .wizards
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        seats.retain(|_, seat| seat.at.elapsed() < IDLE);
        seats
    }
}
