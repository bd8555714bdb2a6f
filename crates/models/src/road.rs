//! The one road for every call: budget, cache, breaker, attempt, retry, fallback.

use crate::attempt::{self, OnEvent, guard};
use crate::cache::{self, CacheKey};
use crate::catalog::Catalog;
use crate::error::{Failure, ModelError, user_error};
use crate::gather::Gathered;
use crate::models::{Call, Inner, Models, SpendRecord};
use crate::{budget, price, retry};
use instar_protocol::event::ErrorClass;
use instar_protocol::model::{Attempt, ModelEvent, ModelRef, ModelReply, StopReason, Usage};
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
            lost: Lost::default(),
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
    /// What attempts used that gave no answer.
    lost: Lost,
}

#[derive(Debug, Default, Clone, Copy)]
struct Lost {
    usage: Usage,
    cost_micros: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run<'_> {
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
        let mut attempt = 1;
        loop {
            let begun = Instant::now();
            let done = self.attempt(model, &mut *on_event).await;
            let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (cost_micros, estimated) = match &done {
                Ok(()) => (0, false),
                Err(_) => self.book_lost(),
            };
            self.attempts.push(Attempt {
                model: model.clone(),
                millis,
                failure: done.as_ref().err().map(reason),
                cost_micros,
                estimated,
            });
            let failure = match done {
                Ok(()) => return self.reply(model, key),
                Err(failure) => failure,
            };
            if self.gathered.shown {
                return Err(failure);
            }
            let Some(pause) = retry::pause(&self.catalog.retry, attempt, &failure, retry::random())
            else {
                return Err(failure);
            };
            if Instant::now() + pause >= self.call.deadline {
                return Err(failure);
            }
            guard(&self.call, tokio::time::sleep(pause)).await?;
            attempt += 1;
        }
    }

    async fn attempt(&mut self, model: &ModelRef, on_event: OnEvent<'_>) -> Result<(), Failure> {
        self.gathered = Gathered::default();
        if self.call.cancel.is_cancelled() {
            return Err(Failure::new(ErrorClass::Cancelled, "the call was stopped"));
        }
        if let Some(local) = self.inner.parts.local.get(model.provider()) {
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
        // What is free may be asked when the money is spent: a local model as the last of a chain.
        if !provider.facts(model.model()).is_free() {
            let ledger = self.inner.parts.ledger.as_ref();
            let turn = self.call.turn_spent_micros;
            let turn = turn.saturating_add(self.lost.cost_micros);
            budget::admit(&self.catalog.budget, ledger, turn).map_err(|why| {
                let message = format!("No model was called: {why}.");
                Failure::new(ErrorClass::Budget, why).saying(message)
            })?;
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
            self.catalog,
            provider,
            model,
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
        self.under_way = None;
        let cost_micros = self.book(model, usage);
        let cost_micros = cost_micros.saturating_add(std::mem::take(&mut self.lost).cost_micros);
        let reply = ModelReply {
            model: model.clone(),
            reasoning: gathered.take_reasoning(),
            text: gathered.text,
            tool_calls: gathered.tool_calls,
            stop,
            usage,
            cost_micros,
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

    /// Books what the attempt under way used although it gave no answer: stopped, cut or broken
    /// off, its input and what had arrived are paid. Returns the cost, and whether it is estimated.
    fn book_lost(&mut self) -> (u64, bool) {
        let Some(model) = self.under_way.take() else {
            return (0, false);
        };
        let Some((usage, estimated)) = self.gathered.used() else {
            return (0, false);
        };
        let cost_micros = self.book(&model, usage);
        self.lost.usage.add(usage);
        self.lost.cost_micros = self.lost.cost_micros.saturating_add(cost_micros);
        (cost_micros, estimated)
    }

    /// Writes what a call used into the ledger; returns its cost.
    fn book(&self, model: &ModelRef, usage: Usage) -> u64 {
        let parts = &self.inner.parts;
        let cost_micros = if parts.local.contains_key(model.provider()) {
            0
        } else {
            let cost = self.catalog.facts(model).cost;
            cost.map_or(0, |cost| price::cost_micros(&cost, usage))
        };
        parts.ledger.add(SpendRecord {
            agent: self.call.agent.clone(),
            session: self.call.session.clone(),
            model: model.clone(),
            calls: 1,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cost_micros,
        });
        if cost_micros > 0 {
            let turn = self
                .call
                .turn_spent_micros
                .saturating_add(self.lost.cost_micros)
                .saturating_add(cost_micros);
            let now = parts.clock.now();
            budget::warn(
                &self.catalog.budget,
                parts.ledger.as_ref(),
                turn,
                now,
                &self.inner.warnings,
            );
        }
        cost_micros
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
            cost_micros: 0,
            estimated: false,
        });
        reply.usage = Usage::default();
        reply.cost_micros = std::mem::take(&mut self.lost).cost_micros;
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
            usage: self.lost.usage,
            cost_micros: self.lost.cost_micros,
        }
    }
}

impl Drop for Run<'_> {
    /// A call whose future is dropped is paid for all the same.
    fn drop(&mut self) {
        let _ = self.book_lost();
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
        usage: Usage::default(),
        cost_micros: 0,
    }
}
