//! Questions to the owner: asked by turns, answered somewhere else, used once.
//!
//! A question is stored before anybody is told of it, and an answer before anything is done with it.
//! It is bound to the digest of one call; the conversation that asked cannot answer, and no answer
//! means no.

use instar_protocol::approval::{Answer, Question, QuestionState, StandingRule};
use instar_protocol::receipt::{Receipt, ReceiptKind};
use instar_protocol::{Clock, QuestionId, RuleId, SessionId, Timestamp};
use instar_store::{Op, Store, StoreError};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

/// Questions of one run that may be open at the same time.
pub const OPEN_PER_RUN_MAX: usize = 3;
/// Questions that may be open in the whole house. Beyond them the answer is no.
pub const OPEN_MAX: usize = 100;
/// A rule that the owner did not pin ends after this time.
pub const RULE_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// Changes that a slow watcher may lag behind before it has to look into the store.
const WATCHED_MAX: usize = 256;

/// The questions of this gateway. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Asking {
    store: Store,
    clock: Arc<dyn Clock>,
    changes: broadcast::Sender<Arc<Question>>,
    /// When the next question may run out, in milliseconds; nothing is looked up before that.
    next_end: Arc<AtomicU64>,
    /// Questions whose turn waits for the answer and makes the call itself.
    awaited: Arc<Mutex<BTreeSet<QuestionId>>>,
}

/// What the owner said to a question.
#[derive(Debug, Clone)]
pub struct Said {
    pub approved: bool,
    /// The access that said it: `web`, `token`, `device:…`.
    pub by: String,
    /// Keep the rule that was offered, too.
    pub always: bool,
    /// Keep it without an end.
    pub pinned: bool,
}

/// Why an answer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("there is no question {0}")]
    Unknown(QuestionId),
    #[error("the question {id} is {} already: an answer is given once", state.name())]
    Settled {
        id: QuestionId,
        state: QuestionState,
    },
    #[error("the question {0} ran out: no answer means no")]
    TooLate(QuestionId),
    #[error("\"always\" is not offered for {0}: answer yes or no")]
    NotOffered(QuestionId),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Asking {
    pub(crate) fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            clock,
            changes: broadcast::channel(WATCHED_MAX).0,
            next_end: Arc::default(),
            awaited: Arc::default(),
        }
    }

    /// Every question that is asked or settled from now on.
    #[must_use]
    pub fn watch(&self) -> broadcast::Receiver<Arc<Question>> {
        self.changes.subscribe()
    }

    /// What waits for the owner, the oldest first.
    pub async fn open(&self) -> Result<Vec<Question>, StoreError> {
        let now = self.clock.now();
        let open = self
            .store
            .questions(Some(QuestionState::Open), None, OPEN_MAX)
            .await?;
        Ok(open.into_iter().filter(|q| now < q.expires_at).collect())
    }

    /// The open question of this conversation about exactly this call, if there is one.
    pub async fn same(
        &self,
        session: &SessionId,
        digest: &str,
    ) -> Result<Option<Question>, StoreError> {
        let open = self
            .store
            .questions(Some(QuestionState::Open), Some(session), OPEN_MAX)
            .await?;
        Ok(open.into_iter().find(|question| question.digest == digest))
    }

    /// What has to be stored for a question to be asked. [`Asking::told`] follows once it is.
    pub fn ask(&self, question: &Question) -> Vec<Op> {
        let body = json!({
            "question": question.id,
            "digest": question.digest,
            "tool": question.call.name,
            "effect": question.effect,
            "why": question.why,
            "expiresAt": question.expires_at,
        });
        vec![
            Op::PutQuestion(Box::new(question.clone())),
            Op::AppendReceipt(self.receipt(ReceiptKind::Question, question, body)),
        ]
    }

    /// Tells whoever watches. A watcher that lags looks into the store.
    pub fn told(&self, question: Question) {
        self.next_end
            .fetch_min(question.expires_at.millis(), Ordering::AcqRel);
        drop(self.changes.send(Arc::new(question)));
    }

    /// Takes the owner's answer. Single use, bound to the digest, never after the end.
    pub async fn answer(&self, id: &QuestionId, said: Said) -> Result<Question, AnswerError> {
        let now = self.clock.now();
        let asked = self.store.question(id).await?;
        let mut question = asked.ok_or_else(|| AnswerError::Unknown(id.clone()))?;
        if question.state != QuestionState::Open {
            return Err(AnswerError::Settled {
                id: id.clone(),
                state: question.state,
            });
        }
        if now >= question.expires_at {
            self.settle(question, QuestionState::Expired, Vec::new())
                .await?;
            return Err(AnswerError::TooLate(id.clone()));
        }
        let mut more = Vec::new();
        let rule = if said.always && said.approved {
            let offered = question.always.clone();
            let offered = offered.ok_or_else(|| AnswerError::NotOffered(id.clone()))?;
            let rule = StandingRule {
                id: RuleId::new(now, random()),
                words: offered.words,
                rule: offered.rule,
                created_at: now,
                created_by: said.by.clone(),
                expires_at: (!said.pinned).then(|| after(now, RULE_LIFE)),
                revoked_at: None,
            };
            more.extend(self.kept(&rule, &said.by, "kept"));
            Some(rule.id)
        } else {
            None
        };
        let state = if said.approved {
            QuestionState::Approved
        } else {
            QuestionState::Denied
        };
        question.answer = Some(Answer {
            approved: said.approved,
            by: said.by,
            at: now,
            rule,
        });
        match self.settle(question, state, more).await {
            Err(StoreError::Missing { .. }) => {
                let stored = self.store.question(id).await?;
                let state = stored.map_or(QuestionState::Void, |question| question.state);
                Err(AnswerError::Settled {
                    id: id.clone(),
                    state,
                })
            }
            other => Ok(other?),
        }
    }

    /// Uses up an approval. An error means that it must not be used.
    pub async fn use_up(&self, question: Question) -> Result<Question, StoreError> {
        self.settle(question, QuestionState::Used, Vec::new()).await
    }

    /// What the question was about is no more.
    pub async fn void(&self, question: Question) -> Result<Question, StoreError> {
        self.settle(question, QuestionState::Void, Vec::new()).await
    }

    /// Ends the questions whose time is over, and approvals that nobody used: no answer means no.
    pub async fn expire(&self) -> Result<usize, StoreError> {
        let now = self.clock.now();
        if now.millis() < self.next_end.load(Ordering::Acquire) {
            return Ok(0);
        }
        // Whatever is asked from here on lowers it again.
        self.next_end.store(u64::MAX, Ordering::Release);
        let mut ended = 0;
        for state in [QuestionState::Open, QuestionState::Approved] {
            let waiting = self.store.questions(Some(state), None, OPEN_MAX).await?;
            for question in waiting {
                let end = question.expires_at.millis();
                if now.millis() < end {
                    self.next_end.fetch_min(end, Ordering::AcqRel);
                    continue;
                }
                match self
                    .settle(question, QuestionState::Expired, Vec::new())
                    .await
                {
                    Ok(_) => ended += 1,
                    // Settled by somebody else between the two looks.
                    Err(StoreError::Missing { .. }) => {}
                    Err(error) => {
                        self.next_end.store(0, Ordering::Release);
                        return Err(error);
                    }
                }
            }
        }
        Ok(ended)
    }

    /// Takes a standing rule back. False if there is none that could be.
    pub async fn revoke(&self, id: &RuleId, by: &str) -> Result<bool, StoreError> {
        let Some(mut rule) = self.store.rule(id).await? else {
            return Ok(false);
        };
        if rule.revoked_at.is_some() {
            return Ok(false);
        }
        rule.revoked_at = Some(self.clock.now());
        self.store.commit(self.kept(&rule, by, "revoked")).await?;
        Ok(true)
    }

    /// The standing rules, the newest first, dead ones included.
    pub async fn rules(&self) -> Result<Vec<StandingRule>, StoreError> {
        self.store.rules().await
    }

    /// The standing rules that hold now.
    pub async fn rules_in_force(&self) -> Result<Vec<StandingRule>, StoreError> {
        let now = self.clock.now();
        let mut rules = self.store.rules().await?;
        rules.retain(|rule| rule.holds_at(now));
        Ok(rules)
    }

    /// True if a turn waits for the answer and will make the call itself.
    #[must_use]
    pub fn is_awaited(&self, id: &QuestionId) -> bool {
        self.awaited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(id)
    }

    /// Waits until the question is settled, at the longest until `until`; then as it stands.
    pub async fn wait(
        &self,
        id: &QuestionId,
        until: tokio::time::Instant,
        cancel: &CancellationToken,
    ) -> Result<Option<Question>, StoreError> {
        let awaited = Awaited::new(self, id);
        let heard = self.wait_for(id, until, cancel).await;
        drop(awaited);
        match heard? {
            // An answer may have come between the last look and the end of the waiting; from here on
            // whoever answers finds nobody waiting.
            Some(question) if question.state == QuestionState::Open => {
                self.store.question(id).await
            }
            settled => Ok(settled),
        }
    }

    async fn wait_for(
        &self,
        id: &QuestionId,
        until: tokio::time::Instant,
        cancel: &CancellationToken,
    ) -> Result<Option<Question>, StoreError> {
        let mut changes = self.watch();
        loop {
            let question = self.store.question(id).await?;
            if question
                .as_ref()
                .is_none_or(|question| question.state != QuestionState::Open)
            {
                return Ok(question);
            }
            let told = async {
                loop {
                    match changes.recv().await {
                        Ok(changed) if changed.id != *id => {}
                        // Also after a lag, and when nobody can tell any more: look.
                        _ => return,
                    }
                }
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(question),
                () = tokio::time::sleep_until(until) => return Ok(question),
                () = told => {}
            }
        }
    }

    async fn settle(
        &self,
        mut question: Question,
        state: QuestionState,
        more: Vec<Op>,
    ) -> Result<Question, StoreError> {
        let at = self.clock.now();
        question.state = state;
        let answer = question.answer.as_ref();
        let body = json!({
            "question": question.id,
            "digest": question.digest,
            "state": state,
            "by": answer.map(|answer| &answer.by),
            "rule": answer.and_then(|answer| answer.rule.as_ref()),
        });
        let mut ops = vec![
            Op::SettleQuestion {
                question: Box::new(question.clone()),
                at,
            },
            Op::AppendReceipt(self.receipt(ReceiptKind::Answer, &question, body)),
        ];
        ops.extend(more);
        self.store.commit(ops).await?;
        self.told(question.clone());
        Ok(question)
    }

    fn kept(&self, rule: &StandingRule, by: &str, what: &str) -> Vec<Op> {
        let receipt = Receipt {
            at: self.clock.now(),
            kind: ReceiptKind::Rule,
            session: None,
            run: None,
            body: json!({ "rule": rule.id, "what": what, "by": by, "words": rule.words }),
            salt: salt(),
        };
        vec![Op::PutRule(rule.clone()), Op::AppendReceipt(receipt)]
    }

    fn receipt(&self, kind: ReceiptKind, question: &Question, body: serde_json::Value) -> Receipt {
        Receipt {
            at: self.clock.now(),
            kind,
            session: Some(question.session.clone()),
            run: Some(question.run.clone()),
            body,
            salt: salt(),
        }
    }
}

/// Says that a turn waits for an answer, as long as it lives.
struct Awaited<'a> {
    asking: &'a Asking,
    id: &'a QuestionId,
}

impl<'a> Awaited<'a> {
    fn new(asking: &'a Asking, id: &'a QuestionId) -> Self {
        let mut awaited = asking
            .awaited
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        awaited.insert(id.clone());
        Self { asking, id }
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let mut awaited = self
            .asking
            .awaited
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        awaited.remove(self.id);
    }
}

/// Random bytes that keep the digest of an erased receipt from being guessed.
pub(crate) fn salt() -> [u8; 16] {
    let mut salt = [0; 16];
    if getrandom::fill(&mut salt).is_err() {
        tracing::warn!("the system gives no random bytes: a receipt goes without salt");
    }
    salt
}

fn random() -> [u8; 10] {
    let [a, b, c, d, e, f, g, h, i, j, ..] = salt();
    [a, b, c, d, e, f, g, h, i, j]
}

fn after(now: Timestamp, life: Duration) -> Timestamp {
    let millis = u64::try_from(life.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_millis(now.millis().saturating_add(millis))
}
