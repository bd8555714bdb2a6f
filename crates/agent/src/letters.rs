//! Letters to the owner: left by tools, answered or read somewhere else, settled once.
//!
//! A letter is stored before anybody is told of it, and an answer before anything is done with it. It
//! is no approval: nothing that is said here lets a call through.

use instar_protocol::letter::{Letter, LetterKind, LetterState, Reply, Said};
use instar_protocol::receipt::{Receipt, ReceiptKind};
use instar_protocol::{Clock, LetterId, Timestamp};
use instar_store::{Op, Store, StoreError};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::broadcast;

use crate::asking::salt;

/// Letters that may wait in the whole house.
const OPEN_MAX: usize = 100;
/// The most characters of an answer.
pub const ANSWER_CHARS_MAX: usize = 4_000;
/// Changes that a slow watcher may lag behind before it has to look into the store.
const WATCHED_MAX: usize = 256;

/// The letters of this gateway. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Letters {
    store: Store,
    clock: Arc<dyn Clock>,
    changes: broadcast::Sender<Arc<Letter>>,
    /// When the next question may run out, in milliseconds.
    next_end: Arc<AtomicU64>,
    /// Questions whose turn waits for the answer.
    awaited: Arc<Mutex<BTreeSet<LetterId>>>,
}

/// Why an answer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    #[error("there is no letter {0}")]
    Unknown(LetterId),
    #[error("the letter {id} is {} already", state.name())]
    Settled { id: LetterId, state: LetterState },
    #[error("the question {0} ran out")]
    TooLate(LetterId),
    #[error("{0}")]
    Invalid(String),
    #[error("too much waits for the owner already")]
    Full,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Letters {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            changes: broadcast::channel(WATCHED_MAX).0,
            next_end: Arc::default(),
            awaited: Arc::default(),
        }
    }

    /// Every letter that is left or settled from now on.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Arc<Letter>> {
        self.changes.subscribe()
    }

    /// What waits for the owner, the newest first.
    pub async fn open(&self) -> Result<Vec<Letter>, StoreError> {
        let now = self.clock.now();
        let mut open = self
            .store
            .letters(Some(LetterState::Open), None, OPEN_MAX)
            .await?;
        open.retain(|letter| letter.waits_at(now));
        Ok(open)
    }

    /// Stores a letter and tells of it, unless too much waits already.
    pub async fn leave(&self, letter: Letter) -> Result<(), LetterError> {
        if self.open().await?.len() >= OPEN_MAX {
            return Err(LetterError::Full);
        }
        let body = json!({
            "letter": letter.id,
            "kind": letter.kind,
            "options": letter.options.len(),
            "expiresAt": letter.expires_at,
        });
        let receipt = self.receipt(ReceiptKind::Question, &letter, body);
        let ops = vec![
            Op::PutLetter(Box::new(letter.clone())),
            Op::AppendReceipt(receipt),
        ];
        self.store.commit(ops).await?;
        self.told(letter);
        Ok(())
    }

    /// Takes the owner's answer to a question, once.
    pub async fn answer(&self, id: &LetterId, said: Said, by: &str) -> Result<Letter, LetterError> {
        let mut letter = self.open_one(id).await?;
        if letter.kind != LetterKind::Question {
            let why = format!("{id} asks nothing; `instar inbox close {id}` puts it aside");
            return Err(LetterError::Invalid(why));
        }
        match &said {
            Said::Picked(at) if *at >= letter.options.len() => {
                let why = match letter.options.len() {
                    0 => "no answers are offered: write one".to_owned(),
                    many => format!("the answers that are offered are 1 to {many}"),
                };
                return Err(LetterError::Invalid(why));
            }
            Said::Typed(text) if text.chars().nth(ANSWER_CHARS_MAX).is_some() => {
                let why = format!("an answer has at most {ANSWER_CHARS_MAX} characters");
                return Err(LetterError::Invalid(why));
            }
            Said::Picked(_) | Said::Typed(_) => {}
        }
        letter.reply = Some(Reply {
            by: by.to_owned(),
            at: self.clock.now(),
            said,
        });
        self.settle(letter, LetterState::Answered).await
    }

    /// Puts a letter aside: a message that was read, a question that gets no answer.
    pub async fn close(&self, id: &LetterId) -> Result<Letter, LetterError> {
        let letter = self.open_one(id).await?;
        self.settle(letter, LetterState::Closed).await
    }

    pub(crate) async fn delivered(&self, letter: Letter) -> Result<Letter, LetterError> {
        self.settle(letter, LetterState::Delivered).await
    }

    async fn open_one(&self, id: &LetterId) -> Result<Letter, LetterError> {
        let found = self.store.letter(id).await?;
        let letter = found.ok_or_else(|| LetterError::Unknown(id.clone()))?;
        if letter.state != LetterState::Open {
            return Err(LetterError::Settled {
                id: id.clone(),
                state: letter.state,
            });
        }
        if !letter.waits_at(self.clock.now()) {
            self.settle(letter, LetterState::Expired).await?;
            return Err(LetterError::TooLate(id.clone()));
        }
        Ok(letter)
    }

    /// Ends the questions whose time is over.
    pub async fn expire(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        if now.millis() < self.next_end.load(Ordering::Acquire) {
            return Ok(0);
        }
        // Whatever is left from here on lowers it again.
        self.next_end.store(u64::MAX, Ordering::Release);
        let open = self
            .store
            .letters(Some(LetterState::Open), None, OPEN_MAX)
            .await?;
        let mut ended = 0;
        for letter in open {
            let Some(end) = letter.expires_at else {
                continue;
            };
            if now < end {
                self.next_end.fetch_min(end.millis(), Ordering::AcqRel);
                continue;
            }
            match self.settle(letter, LetterState::Expired).await {
                Ok(_) => ended += 1,
                // Settled by somebody else between the two looks.
                Err(LetterError::Settled { .. }) => {}
                Err(LetterError::Store(error)) => {
                    self.next_end.store(0, Ordering::Release);
                    return Err(error);
                }
                Err(error) => tracing::debug!(%error, "a letter could not be ended"),
            }
        }
        Ok(ended)
    }

    async fn settle(&self, mut letter: Letter, state: LetterState) -> Result<Letter, LetterError> {
        let at = self.clock.now();
        letter.state = state;
        let reply = letter.reply.as_ref();
        let body = json!({
            "letter": letter.id,
            "state": state,
            "by": reply.map(|reply| &reply.by),
            "picked": reply.is_some_and(|reply| matches!(reply.said, Said::Picked(_))),
        });
        let receipt = self.receipt(ReceiptKind::Answer, &letter, body);
        let ops = vec![
            Op::SettleLetter {
                letter: Box::new(letter.clone()),
                at,
            },
            Op::AppendReceipt(receipt),
        ];
        match self.store.commit(ops).await {
            Ok(()) => {
                self.told(letter.clone());
                Ok(letter)
            }
            // Somebody was first.
            Err(StoreError::Missing { .. }) => {
                let stored = self.store.letter(&letter.id).await?;
                let state = stored.map_or(LetterState::Closed, |stored| stored.state);
                let id = letter.id;
                Err(LetterError::Settled { id, state })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn told(&self, letter: Letter) {
        let end = letter.expires_at.map_or(u64::MAX, Timestamp::millis);
        self.next_end.fetch_min(end, Ordering::AcqRel);
        drop(self.changes.send(Arc::new(letter)));
    }

    /// True if a turn waits for the answer.
    #[must_use]
    pub(crate) fn is_awaited(&self, id: &LetterId) -> bool {
        let awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.contains(id)
    }

    /// Says that a turn waits for an answer, as long as what is given back lives.
    pub(crate) fn await_one(&self, id: &LetterId) -> Awaited {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.insert(id.clone());
        Awaited {
            awaited: Arc::clone(&self.awaited),
            id: id.clone(),
        }
    }

    fn receipt(&self, kind: ReceiptKind, letter: &Letter, body: serde_json::Value) -> Receipt {
        Receipt {
            at: self.clock.now(),
            kind,
            session: Some(letter.session.clone()),
            run: Some(letter.run.clone()),
            body,
            salt: salt(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Awaited {
    awaited: Arc<Mutex<BTreeSet<LetterId>>>,
    id: LetterId,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        awaited.remove(&self.id);
    }
}
