//! The one road for every call: budget, cache, breaker, attempt, retry, fallback.

use crate::attempt::{self, OnEvent, guard};
use crate::budget::{self, Reservation};
use crate::cache::{self, CacheKey};
use crate::catalog::Catalog;
use crate::error::{Failure, ModelError, user_error};
use crate::gather::Gathered;
use crate::models::{Call, Inner, Models, SpendRecord};
use crate::{price, retry};
use instar_protocol::event::ErrorClass;
use instar_protocol::model::{Attempt, ModelEvent, ModelRef, ModelReply, StopReason, Usage};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// A chain longer than this is a mistake.
const CHAIN_MAX: usize = 16;

impl Models {
    /// Calls the first model of the chain that answers. `on_event` gets every event as it arrives.
    ///
    /// Once `on_event` has seen anything of an answer, no other attempt follows: the error then
    /// holds what had arrived. Dropping the future ends the call.
    pub async fn call(
        &self,
        call: Call<'_>,
        on_event: &mut (dyn FnMut(&ModelEvent) + Send),
    ) -> Result<ModelReply, ModelError> {
        let catalog = self.catalog();
        let mut run = Run {
            inner: &self.inner,
            catalog: &catalog,
            call,
            attempts: vec![],
            gathered: Gathered::default(),
            under_way: None,
            reservation: None,
        };
        // Boxed: the state of a call is large, and callers keep it across many awaits.
        Box::pin(run.chain(on_event)).await
    }
}

struct Run<'a> {
    inner: &'a Inner,
    catalog: &'a Catalog,
    call: Call<'a>,
    attempts: Vec<Attempt>,
    /// Of the attempt under way.
    gathered: Gathered,
    /// The model that is asked now, until what it used is booked.
    under_way: Option<ModelRef>,
    /// What it may come to cost, kept from other calls until then.
    reservation: Option<Reservation<'a>>,
}

/// What an attempt used, as it stands in the ledger.
#[derive(Debug, Default)]
struct Booked {
    usage: Usage,
    cost_micros: u64,
    estimated: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'a> Run<'a> {
    async fn chain(&mut self, on_event: OnEvent<'_>) -> Result<ModelReply, ModelError> {
        let mut last = None;
        for model in self.call.chain.iter().take(CHAIN_MAX) {
            match self.model(model, &mut *on_event).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => {
                    tracing::debug!(%model, class = ?failure.class, why = failure.operator, "a model did not answer");
                    let over = self.gathered.shown || ends_the_chain(failure.class);
                    // What failed first is what the owner has to set right.
                    let worth_more = last.is_none() || over;
                    if worth_more {
                        last = Some((model, failure));
                    }
                    if over {
                        break;
                    }
                }
            }
        }
        Err(match last {
            Some((model, failure)) => self.error(model, &failure),
            None => no_model(),
        })
    }

    /// One model of the chain, asked until it answers or is given up.
    async fn model(
        &mut self,
        model: &ModelRef,
        on_event: OnEvent<'_>,
    ) -> Result<ModelReply, Failure> {
        let key = self.cache_key(model);
        if let Some(reply) = key.and_then(|key| self.cached(&key)) {
            return Ok(self.replay(model, reply, on_event));
        }
        let (mut attempt, mut mended) = (1, 0);
        loop {
            let begun = Instant::now();
            let done = self.patiently(model, &mut *on_event).await;
            let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            let used = match &done {
                Ok(()) => self.gathered.end().map(|(_, usage)| (usage, false)),
                Err(_) => self.gathered.used(),
            };
            let booked = self.book(used);
            self.attempts.push(Attempt {
                model: model.clone(),
                millis,
                failure: done.as_ref().err().map(reason),
                usage: booked.usage,
                cost_micros: booked.cost_micros,
                estimated: booked.estimated,
            });
            let failure = match done {
                Ok(()) => return self.reply(model, key),
                Err(failure) => failure,
            };
            if self.gathered.shown {
                return Err(failure);
            }
            let usual = retry::pause(&self.catalog.retry, attempt, &failure, retry::random());
            let mended = || {
                mended += 1;
                retry::mended(&self.call.mend, mended, &failure)
            };
            let Some(pause) = usual.or_else(mended) else {
                return Err(failure);
            };
            if Instant::now() + pause >= self.call.deadline {
                return Err(failure);
            }
            guard(&self.call, tokio::time::sleep(pause)).await?;
            attempt += 1;
        }
    }

    /// An attempt that is given up where nothing came of it for too long, if that is to be done.
    async fn patiently(&mut self, model: &ModelRef, on_event: OnEvent<'_>) -> Result<(), Failure> {
        let Some(patience) = self.call.mend.patience else {
            return self.attempt(model, on_event).await;
        };
        let begun = AtomicBool::new(false);
        let mut seen = |event: &ModelEvent| {
            begun.store(true, Ordering::Relaxed);
            on_event(event);
        };
        let mut attempt = Box::pin(self.attempt(model, &mut seen));
        tokio::select! {
            biased;
            done = &mut attempt => return done,
            () = tokio::time::sleep(patience) => {}
        }
        // Whoever has begun to answer is heard to the end.
        if begun.load(Ordering::Relaxed) {
            return attempt.await;
        }
        let why = format!(
            "{model} said nothing for {} s and was given up",
            patience.as_secs()
        );
        Err(Failure::new(ErrorClass::Timeout, why))
    }

    async fn attempt(&mut self, model: &ModelRef, on_event: OnEvent<'_>) -> Result<(), Failure> {
        self.gathered = Gathered::default();
        if self.call.cancel.is_cancelled() {
            return Err(Failure::new(ErrorClass::Cancelled, "the call was stopped"));
        }
        if let Some(local) = self.inner.parts.local.get(model.provider()) {
            self.under_way = Some(model.clone());
            return attempt::local(
                model,
                local.as_ref(),
                &self.call,
                &mut self.gathered,
                on_event,
            )
            .await;
        }
        let Some(provider) = self.catalog.providers.get(model.provider()) else {
            return Err(Failure::new(
                ErrorClass::Config,
                format!("no provider {}", model.provider()),
            ));
        };
        let readers = &self.call.request.label.readers;
        provider.clearance.check(&provider.id, readers)?;
        let prepared = attempt::prepare(self.inner, provider, model, &self.call).await?;
        let facts = provider.facts(model.model());
        // What is free may be asked when the money is spent: a local model as the last of a chain.
        if !facts.is_free() {
            let most = prepared.most_micros(&facts, self.call.request.sampling.max_output_tokens);
            self.reservation = Some(self.reserve(most).await?);
            self.warn_of_unpriced(model);
        }
        let clock = &self.inner.parts.clock;
        lock(&self.inner.breakers)
            .admit(model, clock.now())
            .map_err(|left| {
                Failure::new(
                    ErrorClass::Server,
                    format!(
                        "{model} failed several times and is left alone for {} s",
                        left.as_secs()
                    ),
                )
            })?;
        let trial = Trial::new(self.inner, model);
        self.under_way = Some(model.clone());
        let done = attempt::remote(
            self.inner,
            self.catalog.stall,
            prepared,
            &self.call,
            &mut self.gathered,
            on_event,
        )
        .await;
        trial.over(done.as_ref().err().map(|failure| failure.class));
        done
    }

    fn reply(&mut self, model: &ModelRef, key: Option<CacheKey>) -> Result<ModelReply, Failure> {
        let mut gathered = std::mem::take(&mut self.gathered);
        let Some((stop, usage)) = gathered.end() else {
            return Err(Failure::new(
                ErrorClass::Internal,
                "an answer without an end",
            ));
        };
        let reply = ModelReply {
            model: model.clone(),
            reasoning: gathered.take_reasoning(),
            text: gathered.text,
            tool_calls: gathered.tool_calls,
            stop,
            usage,
            attempts: std::mem::take(&mut self.attempts),
        };
        if let Some(key) = key
            && stop == StopReason::Stop
        {
            let now = self.inner.parts.clock.now();
            lock(&self.inner.cache).put(&self.catalog.cache, key, reply.clone(), now);
        }
        Ok(reply)
    }

    /// Sets aside what the call may come to cost, so that calls at the same time keep the limits.
    async fn reserve(&self, most_micros: u64) -> Result<Reservation<'a>, Failure> {
        let admitted = self.inner.reserved.admit(
            &self.catalog.budget,
            self.inner.parts.ledger.as_ref(),
            self.turn_spent(),
            most_micros,
        );
        guard(&self.call, admitted).await?.map_err(|why| {
            let message = format!("No model was called: {why}.");
            Failure::new(ErrorClass::Budget, why).saying(message)
        })
    }

    /// Writes what the attempt under way used into the ledger, whether it gave an answer or was
    /// stopped, cut or broken off: its input and what had arrived are paid.
    fn book(&mut self, used: Option<(Usage, bool)>) -> Booked {
        let model = self.under_way.take();
        // Held until the sum is in the ledger.
        let _reservation = self.reservation.take();
        let (Some(model), Some((usage, estimated))) = (model, used) else {
            return Booked::default();
        };
        let parts = &self.inner.parts;
        let cost_micros = if parts.local.contains_key(model.provider()) {
            0
        } else {
            let cost = self.catalog.facts(&model).cost;
            cost.map_or(0, |cost| price::cost_micros(&cost, usage))
        };
        parts.ledger.add(SpendRecord {
            agent: self.call.agent.clone(),
            session: self.call.session.clone(),
            model,
            calls: 1,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost_micros,
        });
        if cost_micros > 0 {
            budget::warn(
                &self.catalog.budget,
                parts.ledger.as_ref(),
                self.turn_spent().saturating_add(cost_micros),
                parts.clock.now(),
                &self.inner.warnings,
            );
        }
        Booked {
            usage,
            cost_micros,
            estimated,
        }
    }

    /// Micro-dollars of the turn so far, with the attempts of this call.
    fn turn_spent(&self) -> u64 {
        let (_, here) = Attempt::spent(&self.attempts);
        self.call.turn_spent_micros.saturating_add(here)
    }

    /// Says once that the limits do not hold a model whose price nobody knows.
    fn warn_of_unpriced(&self, model: &ModelRef) {
        if self.catalog.escapes_budget(model) && lock(&self.inner.warnings).is_new(model) {
            tracing::warn!(%model, "there is a budget, but no price is known for this model: its calls count as free. Set models.providers.*.models[].cost");
        }
    }

    fn cache_key(&self, model: &ModelRef) -> Option<CacheKey> {
        let provider = self.catalog.providers.get(model.provider())?;
        cache::key(
            &self.catalog.cache,
            self.call.agent,
            model.as_str(),
            provider.endpoint.as_str(),
            self.call.request,
        )
    }

    fn cached(&self, key: &CacheKey) -> Option<ModelReply> {
        let now = self.inner.parts.clock.now();
        lock(&self.inner.cache).get(&self.catalog.cache, key, now)
    }

    /// An answer from the cache costs nothing and used no tokens now.
    fn replay(
        &mut self,
        model: &ModelRef,
        mut reply: ModelReply,
        on_event: OnEvent<'_>,
    ) -> ModelReply {
        self.attempts.push(Attempt {
            model: model.clone(),
            millis: 0,
            failure: None,
            usage: Usage::default(),
            cost_micros: 0,
            estimated: false,
        });
        reply.usage = Usage::default();
        reply.attempts = std::mem::take(&mut self.attempts);
        if let Some(reasoning) = &reply.reasoning {
            on_event(&ModelEvent::Reasoning {
                delta: reasoning.text.clone(),
                signature: reasoning.signature.clone(),
            });
        }
        on_event(&ModelEvent::Text {
            delta: reply.text.clone(),
        });
        on_event(&ModelEvent::Finish {
            stop: reply.stop,
            usage: reply.usage,
        });
        reply
    }

    fn error(&mut self, model: &ModelRef, failure: &Failure) -> ModelError {
        let provider = self.catalog.providers.get(model.provider());
        let mut user = user_error(failure.class, model, provider);
        if let Some(message) = &failure.message {
            user.message.clone_from(message);
        }
        ModelError {
            class: failure.class,
            operator: format!("{model}: {}", failure.operator),
            user,
            attempts: std::mem::take(&mut self.attempts),
            partial: std::mem::take(&mut self.gathered.text),
        }
    }
}

impl Drop for Run<'_> {
    /// A call whose future is dropped is paid for all the same.
    fn drop(&mut self) {
        let used = self.gathered.used();
        self.book(used);
    }
}

/// Reports to the breaker when an attempt ends, also when its future is dropped.
struct Trial<'a> {
    inner: &'a Inner,
    model: &'a ModelRef,
    ended: Option<Option<ErrorClass>>,
}

impl<'a> Trial<'a> {
    fn new(inner: &'a Inner, model: &'a ModelRef) -> Self {
        Self {
            inner,
            model,
            ended: None,
        }
    }

    fn over(mut self, failure: Option<ErrorClass>) {
        self.ended = Some(failure);
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        let ended = self.ended.unwrap_or(Some(ErrorClass::Cancelled));
        let now = self.inner.parts.clock.now();
        lock(&self.inner.breakers).report(self.model, ended, now);
    }
}

/// Failures that another model must not or cannot mend. A refusal is not argued with elsewhere.
fn ends_the_chain(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::Cancelled | ErrorClass::Refusal | ErrorClass::Storage | ErrorClass::Internal
    )
}

/// The class as its stored word, and what happened.
fn reason(failure: &Failure) -> String {
    let class = serde_json::to_value(failure.class).unwrap_or_default();
    format!(
        "{}: {}",
        class.as_str().unwrap_or("failed"),
        failure.operator
    )
}

fn no_model() -> ModelError {
    ModelError {
        class: ErrorClass::Config,
        operator: "the chain of models is empty".into(),
        user: instar_protocol::live::UserError {
            class: ErrorClass::Config,
            message: "No model is set.".into(),
            next_step: "Set one with `instar models set PROVIDER/MODEL`.".into(),
        },
        attempts: vec![],
        partial: String::new(),
    }
}
