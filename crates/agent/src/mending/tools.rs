//! What is done about a tool call: before it is judged, and while it runs.

use instar_protocol::tool::{ToolCall, ToolDecision};
use instar_release::mitigation::{Act, Site};
use instar_tools::Bounds;
use std::time::Duration;
use tokio::time::Instant;

use super::Verdict;
use crate::calls::{Judged, refused};
use crate::driver::{Basis, Turn};

/// A call waits so long for its place in the row and no longer.
const WAIT_MS_MAX: u64 = 20_000;
/// The rule that stands for a call which was not made because of a fault.
const RULE: &str = "mitigation";

/// What came of looking at a call.
pub(crate) enum Mended {
    /// It is judged as it stands now, and runs so.
    Goes(Bounds),
    /// It is not made.
    Refused(Box<Judged>),
}

impl Turn {
    /// Does what is to be done before the call is judged: its arguments are put right, it waits, or it is
    /// not made at all.
    pub(crate) async fn mend_call(&mut self, basis: &Basis, call: &mut ToolCall) -> Mended {
        let mut bounds = self.set_to(basis, &call.name);
        for act in self.enter(basis, Site::Tool(&call.name)) {
            match act {
                Act::Retry {
                    again, pause_ms, ..
                } => {
                    bounds.again = again;
                    bounds.pause = Duration::from_millis(u64::from(pause_ms));
                }
                Act::Patience { seconds, .. } => {
                    bounds.patience = Some(Duration::from_secs(u64::from(seconds)));
                }
                Act::Arguments { fixes, .. } => {
                    for fix in &fixes {
                        fix.apply(&mut call.arguments);
                    }
                }
                Act::Breaker { tool, .. } => {
                    let name = self.named(&tool);
                    if let Verdict::Wait(millis) = self.house.mends.breaker(&name, self.house.now())
                    {
                        let advice = format!(
                            "{tool} failed several times in a row and is left alone for {} s: go on \
                             without it",
                            millis.div_ceil(1_000)
                        );
                        let why = "the tool failed several times in a row";
                        return Mended::Refused(Box::new(refused(
                            call.clone(),
                            RULE,
                            why,
                            &advice,
                        )));
                    }
                }
                Act::Pace { tool, per_minute } => {
                    let has_place = self.takes_its_place(basis, &tool, per_minute).await;
                    if !has_place {
                        let advice = format!(
                            "{tool} was called {per_minute} times within a minute, which is all it takes: \
                             answer with what you have, or say what is missing"
                        );
                        let why = "too many calls in a minute";
                        return Mended::Refused(Box::new(refused(
                            call.clone(),
                            RULE,
                            why,
                            &advice,
                        )));
                    }
                }
                _ => {}
            }
        }
        Mended::Goes(bounds)
    }

    /// Waits for a place in the row of calls; false if none comes in time.
    async fn takes_its_place(&self, basis: &Basis, tool: &str, per_minute: u16) -> bool {
        let name = self.named(tool);
        let latest = Instant::now() + Duration::from_millis(WAIT_MS_MAX);
        let latest = latest.min(basis.deadline);
        loop {
            let millis = match self.house.mends.pace(&name, per_minute, self.house.now()) {
                Verdict::Go => return true,
                Verdict::Wait(millis) => millis,
            };
            let wakes = Instant::now() + Duration::from_millis(millis.max(10));
            if wakes > latest {
                return false;
            }
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return false,
                () = tokio::time::sleep_until(wakes) => {}
            }
        }
    }

    /// Takes in how the calls of a tool ended, for whoever remembers it.
    pub(crate) fn mind(&mut self, basis: &Basis, judged: &[Judged]) {
        let all = &basis.behaviour(self).mitigations;
        if all.is_empty() {
            return;
        }
        for one in judged {
            let Some(output) = &one.output else { continue };
            if was_kept_back(one) {
                // To keep the call from being made is no way of not failing.
                self.found.mending.came(&one.call.name, true);
                continue;
            }
            // What else was not made says nothing of the tool.
            if !one.was_made() {
                continue;
            }
            self.found.mending.came(&one.call.name, output.is_error);
            for mitigation in all {
                if let Act::Breaker {
                    tool,
                    failures,
                    open_seconds,
                } = &mitigation.act
                    && *tool == one.call.name
                    && self.found.mending.is_on(&mitigation.id)
                {
                    let (name, now) = (self.named(tool), self.house.now());
                    let open_ms = u64::from(*open_seconds) * 1_000;
                    let mends = &self.house.mends;
                    mends.report(&name, output.is_error, *failures, open_ms, now);
                }
            }
        }
    }

    /// What the release sets the tool to, before anything is done about its faults.
    fn set_to(&self, basis: &Basis, tool: &str) -> Bounds {
        let settings = basis.behaviour(self).tools.get(tool);
        settings.map_or_else(Bounds::default, |settings| Bounds {
            patience: settings
                .seconds
                .map(|seconds| Duration::from_secs(u64::from(seconds))),
            chars: settings.chars.and_then(|chars| usize::try_from(chars).ok()),
            ..Bounds::default()
        })
    }

    fn named(&self, tool: &str) -> String {
        format!("{}/{tool}", self.record.agent())
    }
}

/// A mitigation kept the call from being made.
fn was_kept_back(judged: &Judged) -> bool {
    matches!(&judged.decision, ToolDecision::Denied { rule, .. } if rule == RULE)
}
