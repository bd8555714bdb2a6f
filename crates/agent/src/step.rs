//! The turn as a pure function: `(state, input) -> (state, effect)`.
//!
//! Nothing here waits, reads a clock or knows text. The driver does what an [`Effect`] says and
//! feeds back what came of it, until the effect is [`Effect::Finish`]. Every turn ends: each way
//! round the loop uses up a model call, and these are counted.

use instar_protocol::event::ErrorClass;
use instar_protocol::tool::ToolCall;
use std::collections::BTreeSet;

/// How often one turn may shorten its history.
const COMPACTIONS_MAX: u32 = 2;

/// What bounds a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) model_calls_max: u32,
    pub(crate) tool_calls_max: u32,
}

/// Where a turn stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State {
    bounds: Bounds,
    client_tools: BTreeSet<String>,
    model_calls: u32,
    tool_calls: u32,
    compactions: u32,
    /// Set once the model may only answer in words.
    words_only: bool,
    /// Calls for the API client, waiting for ours in the same reply to be run.
    handed: Vec<ToolCall>,
}

impl State {
    pub(crate) fn new(bounds: Bounds, client_tools: BTreeSet<String>) -> Self {
        Self {
            bounds,
            client_tools,
            model_calls: 0,
            tool_calls: 0,
            compactions: 0,
            words_only: false,
            handed: Vec::new(),
        }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    Begin,
    /// The model answered.
    Replied {
        calls: Vec<ToolCall>,
    },
    /// The model did not answer.
    ModelFailed(ErrorClass),
    /// The request would not fit the window; no call was made.
    Full,
    /// Every call of the last [`Effect::RunTools`] has its result.
    ToolsDone,
    /// As [`Input::ToolsDone`], and a call has had the same result too often: the model goes in
    /// circles and has to say in words how far it came.
    Looping,
    /// The history is shorter now, or could not be made shorter.
    Compacted {
        shorter: bool,
    },
    /// As [`Input::ToolsDone`], and messages are waiting to join the turn. It may use tools again:
    /// the person asked for something new.
    Steered,
    Cancelled,
    DeadlinePassed,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    CallModel { tools: ToolUse },
    RunTools(Vec<Due>),
    Compact,
    Finish(End),
}

/// Whether the model may ask for tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToolUse {
    Free,
    WordsOnly,
}

/// A call and whether it is put before policy at all.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Due {
    pub(crate) call: ToolCall,
    pub(crate) fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Ask policy, then run it.
    Judge,
    /// The turn's number of tool calls is used up.
    OverLimit,
}

/// How a turn ends.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    Replied,
    Handed(Vec<ToolCall>),
    Failed(ErrorClass),
    Aborted,
}

/// Decides what follows.
pub(crate) fn step(mut state: State, input: Input) -> (State, Effect) {
    let effect = match input {
        Input::Cancelled => Effect::Finish(End::Aborted),
        Input::DeadlinePassed => Effect::Finish(End::Failed(ErrorClass::Timeout)),
        Input::Begin => call_model(&mut state),
        Input::Steered if state.handed.is_empty() => {
            state.words_only = false;
            call_model(&mut state)
        }
        Input::Replied { calls } => after_reply(&mut state, calls),
        Input::Looping if state.handed.is_empty() => {
            state.words_only = true;
            call_model(&mut state)
        }
        Input::ToolsDone if state.handed.is_empty() => call_model(&mut state),
        Input::ToolsDone | Input::Looping | Input::Steered => {
            Effect::Finish(End::Handed(std::mem::take(&mut state.handed)))
        }
        Input::ModelFailed(ErrorClass::ContextLength) | Input::Full
            if state.compactions < COMPACTIONS_MAX =>
        {
            state.compactions += 1;
            Effect::Compact
        }
        Input::Full => Effect::Finish(End::Failed(ErrorClass::ContextLength)),
        Input::ModelFailed(ErrorClass::Cancelled) => Effect::Finish(End::Aborted),
        Input::ModelFailed(class) => Effect::Finish(End::Failed(class)),
        Input::Compacted { shorter: true } => {
            // The call that did not fit was not answered: it does not count.
            state.model_calls = state.model_calls.saturating_sub(1);
            call_model(&mut state)
        }
        Input::Compacted { shorter: false } => {
            Effect::Finish(End::Failed(ErrorClass::ContextLength))
        }
    };
    (state, effect)
}

fn call_model(state: &mut State) -> Effect {
    if state.model_calls >= state.bounds.model_calls_max {
        return Effect::Finish(End::Failed(ErrorClass::Loop));
    }
    state.model_calls += 1;
    let last = state.model_calls == state.bounds.model_calls_max;
    // The last call that the bound allows is for an answer in words, not for a tool whose result
    // nobody would read. A turn of one call is left alone: its tools may be the API client's.
    state.words_only |= last && state.model_calls > 1;
    let tools = if state.words_only {
        ToolUse::WordsOnly
    } else {
        ToolUse::Free
    };
    Effect::CallModel { tools }
}

fn after_reply(state: &mut State, calls: Vec<ToolCall>) -> Effect {
    if calls.is_empty() {
        return Effect::Finish(End::Replied);
    }
    if state.words_only {
        return Effect::Finish(End::Failed(ErrorClass::Loop));
    }
    let (handed, ours): (Vec<_>, Vec<_>) = calls
        .into_iter()
        .partition(|call| state.client_tools.contains(&call.name));
    if ours.is_empty() {
        return Effect::Finish(End::Handed(handed));
    }
    state.handed = handed;
    let due: Vec<Due> = ours.into_iter().map(|call| due(state, call)).collect();
    if due.iter().any(|due| due.fate != Fate::Judge) {
        state.words_only = true;
    }
    Effect::RunTools(due)
}

fn due(state: &mut State, call: ToolCall) -> Due {
    let fate = if state.tool_calls >= state.bounds.tool_calls_max {
        Fate::OverLimit
    } else {
        state.tool_calls += 1;
        Fate::Judge
    };
    Due { call, fate }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn state(model_calls_max: u32, tool_calls_max: u32) -> State {
        let bounds = Bounds {
            model_calls_max,
            tool_calls_max,
        };
        State::new(bounds, BTreeSet::from(["theirs".to_owned()]))
    }

    fn call(name: &str, argument: u32) -> ToolCall {
        ToolCall {
            id: format!("{name}{argument}"),
            name: name.to_owned(),
            arguments: json!({ "n": argument }),
        }
    }

    fn replied(calls: &[ToolCall]) -> Input {
        Input::Replied {
            calls: calls.to_vec(),
        }
    }

    fn judged(call: ToolCall) -> Due {
        Due {
            call,
            fate: Fate::Judge,
        }
    }

    const FREE: Effect = Effect::CallModel {
        tools: ToolUse::Free,
    };
    const WORDS: Effect = Effect::CallModel {
        tools: ToolUse::WordsOnly,
    };

    /// Feeds the inputs and compares every effect.
    fn check(mut state: State, script: &[(Input, Effect)]) {
        for (place, (input, expected)) in script.iter().enumerate() {
            let (next, effect) = step(state, input.clone());
            assert_eq!(&effect, expected, "at {place}: {input:?}");
            state = next;
        }
    }

    #[test]
    fn an_answer_in_words_ends_the_turn() {
        check(
            state(5, 5),
            &[
                (Input::Begin, FREE),
                (replied(&[]), Effect::Finish(End::Replied)),
            ],
        );
    }

    #[test]
    fn our_tools_run_and_the_model_is_asked_again() {
        check(
            state(5, 5),
            &[
                (Input::Begin, FREE),
                (
                    replied(&[call("ours", 1), call("ours", 2)]),
                    Effect::RunTools(vec![judged(call("ours", 1)), judged(call("ours", 2))]),
                ),
                (Input::ToolsDone, FREE),
                (replied(&[]), Effect::Finish(End::Replied)),
            ],
        );
    }

    #[test]
    fn calls_for_the_client_are_handed_over_after_ours_ran() {
        check(
            state(5, 5),
            &[
                (Input::Begin, FREE),
                (
                    replied(&[call("theirs", 1)]),
                    Effect::Finish(End::Handed(vec![call("theirs", 1)])),
                ),
            ],
        );
        check(
            state(5, 5),
            &[
                (Input::Begin, FREE),
                (
                    replied(&[call("theirs", 1), call("ours", 1)]),
                    Effect::RunTools(vec![judged(call("ours", 1))]),
                ),
                (
                    Input::ToolsDone,
                    Effect::Finish(End::Handed(vec![call("theirs", 1)])),
                ),
            ],
        );
    }

    #[test]
    fn a_model_that_goes_in_circles_must_use_words() {
        let stuck = [
            (Input::Begin, FREE),
            (
                replied(&[call("ours", 1)]),
                Effect::RunTools(vec![judged(call("ours", 1))]),
            ),
            (Input::Looping, WORDS),
        ];
        let mut gives_in = stuck.to_vec();
        gives_in.push((replied(&[]), Effect::Finish(End::Replied)));
        check(state(9, 9), &gives_in);
        let mut goes_on = stuck.to_vec();
        goes_on.push((
            replied(&[call("ours", 1)]),
            Effect::Finish(End::Failed(ErrorClass::Loop)),
        ));
        check(state(9, 9), &goes_on);
    }

    #[test]
    fn the_bound_on_tool_calls_answers_instead_of_running() {
        let over = Due {
            call: call("ours", 2),
            fate: Fate::OverLimit,
        };
        check(
            state(9, 1),
            &[
                (Input::Begin, FREE),
                (
                    replied(&[call("ours", 1), call("ours", 2)]),
                    Effect::RunTools(vec![judged(call("ours", 1)), over]),
                ),
                (Input::ToolsDone, WORDS),
                (replied(&[]), Effect::Finish(End::Replied)),
            ],
        );
    }

    #[test]
    fn the_last_model_call_is_for_words() {
        check(
            state(2, 9),
            &[
                (Input::Begin, FREE),
                (
                    replied(&[call("ours", 1)]),
                    Effect::RunTools(vec![judged(call("ours", 1))]),
                ),
                (Input::ToolsDone, WORDS),
                (
                    replied(&[call("ours", 2)]),
                    Effect::Finish(End::Failed(ErrorClass::Loop)),
                ),
            ],
        );
    }

    #[test]
    fn a_full_window_is_shortened_twice_at_most() {
        check(
            state(2, 9),
            &[
                (Input::Begin, FREE),
                (Input::Full, Effect::Compact),
                (Input::Compacted { shorter: true }, FREE),
                (
                    Input::ModelFailed(ErrorClass::ContextLength),
                    Effect::Compact,
                ),
                (Input::Compacted { shorter: true }, FREE),
                (
                    Input::Full,
                    Effect::Finish(End::Failed(ErrorClass::ContextLength)),
                ),
            ],
        );
        check(
            state(2, 9),
            &[
                (Input::Begin, FREE),
                (Input::Full, Effect::Compact),
                (
                    Input::Compacted { shorter: false },
                    Effect::Finish(End::Failed(ErrorClass::ContextLength)),
                ),
            ],
        );
    }

    #[test]
    fn failures_cancel_and_deadline_end_the_turn() {
        for (input, end) in [
            (
                Input::ModelFailed(ErrorClass::Auth),
                End::Failed(ErrorClass::Auth),
            ),
            (Input::ModelFailed(ErrorClass::Cancelled), End::Aborted),
            (Input::Cancelled, End::Aborted),
            (Input::DeadlinePassed, End::Failed(ErrorClass::Timeout)),
        ] {
            check(
                state(2, 2),
                &[(Input::Begin, FREE), (input, Effect::Finish(end))],
            );
        }
    }

    #[test]
    fn a_message_that_joins_frees_the_tools_again() {
        let over = Due {
            call: call("ours", 1),
            fate: Fate::OverLimit,
        };
        check(
            state(9, 0),
            &[
                (Input::Begin, FREE),
                (replied(&[call("ours", 1)]), Effect::RunTools(vec![over])),
                (Input::Steered, FREE),
            ],
        );
    }

    fn any_input() -> impl Strategy<Value = Input> {
        let calls = prop::collection::vec((prop::bool::ANY, 0_u32..3), 0..4).prop_map(|list| {
            let calls = list
                .into_iter()
                .map(|(own, n)| call(if own { "ours" } else { "theirs" }, n))
                .collect();
            Input::Replied { calls }
        });
        prop_oneof![
            6 => calls,
            4 => Just(Input::ToolsDone),
            1 => Just(Input::Full),
            1 => Just(Input::Steered),
            1 => Just(Input::Looping),
            1 => Just(Input::Compacted { shorter: true }),
            1 => Just(Input::ModelFailed(ErrorClass::ContextLength)),
        ]
    }

    proptest! {
        #[test]
        fn every_turn_stays_within_its_bounds(inputs in prop::collection::vec(any_input(), 0..60)) {
            let mut now = state(6, 4);
            let (mut calls, mut runs) = (0, 0);
            for input in inputs {
                let given_back = matches!(input, Input::Compacted { .. });
                let (next, effect) = step(now, input);
                match effect {
                    Effect::CallModel { .. } => calls += u32::from(!given_back),
                    Effect::RunTools(due) => {
                        runs += due.iter().filter(|due| due.fate == Fate::Judge).count();
                    }
                    Effect::Compact => {}
                    Effect::Finish(_) => return Ok(()),
                }
                prop_assert!(calls <= 6 + COMPACTIONS_MAX && runs <= 4);
                now = next;
            }
        }
    }
}
