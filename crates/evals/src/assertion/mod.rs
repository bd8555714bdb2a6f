//! What has to hold of an answer.
//!
//! Every type is decided by [`check`]; what is not done here is told by its name as unsupported, and what
//! cannot be decided, because the suite gives too little, is an error. Neither passes, and `not-` in front
//! of it does not turn it round.

mod graded;
mod html;
mod json;
mod overlap;
mod pattern;
mod refusal;
mod schema;
mod schema_formats;
mod script;
mod text;
mod tools;
mod words;
mod xml;

pub(crate) use text::comma_separated;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bounds::OUTPUT_BYTES_MAX;
use crate::data;
use crate::error::Trouble;
use crate::provider::{Answer, Grader, Scripts};
use crate::suite::Assertion;
use crate::template::{self, Vars};

/// What is known of an answer when it is looked at.
pub(crate) struct Facts<'a> {
    pub(crate) answer: &'a Answer,
    pub(crate) output: &'a Value,
    pub(crate) prompt: &'a str,
    pub(crate) vars: &'a Vars,
    /// The configuration of who answered.
    pub(crate) config: &'a Value,
    pub(crate) latency_ms: Option<f64>,
    pub(crate) grader: Option<&'a dyn Grader>,
    pub(crate) scripts: Option<&'a dyn Scripts>,
}

/// Whether an assertion holds, how well, and why.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    pub pass: bool,
    pub score: f64,
    pub reason: String,
}

impl Verdict {
    /// All or nothing.
    pub(crate) fn of(pass: bool, otherwise: impl FnOnce() -> String) -> Self {
        Self {
            pass,
            score: if pass { 1.0 } else { 0.0 },
            reason: if pass {
                "holds".to_owned()
            } else {
                otherwise()
            },
        }
    }

    /// A score against a threshold; turned round, the score is too.
    fn scored(name: &str, score: f64, threshold: f64, inverse: bool) -> Self {
        let pass = (score >= threshold) != inverse;
        let side = if score >= threshold {
            "at least"
        } else {
            "below"
        };
        Self {
            pass,
            score: if inverse { 1.0 - score } else { score },
            reason: format!("{name} {score:.4} is {side} {threshold}"),
        }
    }
}

/// An assertion with its value written out and the answer as text.
pub(crate) struct Asked<'a> {
    pub(crate) kind: &'a str,
    pub(crate) inverse: bool,
    pub(crate) value: Value,
    pub(crate) threshold: Option<f64>,
    pub(crate) output: &'a Value,
    pub(crate) text: &'a str,
    pub(crate) facts: &'a Facts<'a>,
}

impl Asked<'_> {
    /// Turns a plain answer round if the assertion says `not-`.
    fn decide(&self, holds: bool, what: impl FnOnce() -> String) -> Verdict {
        let not = if self.inverse { "not " } else { "" };
        Verdict::of(holds != self.inverse, || {
            format!("expected the answer to {not}{}", what())
        })
    }

    fn number(&self) -> Result<f64, Trouble> {
        match self.threshold {
            Some(threshold) => Ok(threshold),
            None => Trouble::wrong(format!("{:?} needs a threshold", self.kind)),
        }
    }
}

/// Decides one assertion.
pub(crate) fn check(assertion: &Assertion, facts: &Facts<'_>) -> Result<Verdict, Trouble> {
    let transformed;
    let output = match &assertion.transform {
        Some(source) => {
            transformed = transform(source, facts.output, facts.vars, facts.prompt)?;
            &transformed
        }
        None => facts.output,
    };
    let text = data::as_text(output);
    if text.len() > OUTPUT_BYTES_MAX {
        return Trouble::wrong(format!(
            "the answer is longer than {OUTPUT_BYTES_MAX} bytes"
        ));
    }
    let asked = Asked {
        kind: &assertion.kind,
        inverse: assertion.inverse,
        value: written(assertion, facts.vars)?,
        threshold: assertion.threshold,
        output,
        text: &text,
        facts,
    };
    let mut verdict = decide(&asked, assertion)?;
    // An assertion of no weight only tells.
    verdict.pass |= assertion.weight == 0.0;
    Ok(verdict)
}

/// The value of an assertion, with names put in where it is a text or a list of texts.
fn written(assertion: &Assertion, vars: &Vars) -> Result<Value, Trouble> {
    Ok(match &assertion.value {
        Value::String(text) => Value::String(template::render(text, vars)?),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::String(text) => Ok(Value::String(template::render(text, vars)?)),
                other => Ok(other.clone()),
            })
            .collect::<Result<_, Trouble>>()?,
        other => other.clone(),
    })
}

/// Works a transform of an answer out; one that is empty leaves it as it is.
pub(crate) fn transform(
    source: &str,
    output: &Value,
    vars: &Vars,
    prompt: &str,
) -> Result<Value, Trouble> {
    if source.is_empty() {
        return Ok(output.clone());
    }
    if source.starts_with("file://") {
        return Trouble::unsupported("a transform that is a script");
    }
    let mut scope = Vars::new();
    scope.insert("output".to_owned(), output.clone());
    let context = serde_json::json!({"vars": vars, "prompt": {"label": prompt}});
    scope.insert("context".to_owned(), context);
    template::transform(source, &scope)
}

fn decide(asked: &Asked<'_>, assertion: &Assertion) -> Result<Verdict, Trouble> {
    match asked.kind {
        "equals" => Ok(text::equals(asked)),
        "contains" | "icontains" => text::contains(asked),
        "contains-all" | "contains-any" | "icontains-all" | "icontains-any" => text::several(asked),
        "starts-with" => text::starts_with(asked),
        "regex" => pattern::regex(asked),
        "word-count" => text::word_count(asked),
        "levenshtein" => text::levenshtein(asked),
        "is-json" => json::is_json(asked),
        "contains-json" => json::contains_json(asked),
        "is-xml" => xml::is_xml(asked),
        "contains-xml" => xml::contains_xml(asked),
        "is-html" => Ok(html::is_html(asked)),
        "contains-html" => html::contains_html(asked),
        "bleu" | "gleu" => overlap::many(asked),
        "rouge-n" => words::rouge(asked),
        "is-refusal" => Ok(refusal::is_refusal(asked)),
        "latency" => measured(
            asked,
            asked.facts.latency_ms,
            "ms",
            "the answer was cached; use --no-cache",
        ),
        "cost" => measured(
            asked,
            asked.facts.answer.cost,
            "",
            "whoever answered tells no cost",
        ),
        "perplexity" | "perplexity-score" => perplexity(asked),
        "finish-reason" => finish_reason(asked),
        "guardrails" => Ok(guardrails(asked)),
        "is-valid-function-call" | "is-valid-openai-function-call" => {
            Ok(tools::function_call(asked))
        }
        "is-valid-openai-tools-call" => tools::tools_call(asked),
        "tool-call-f1" => tools::f1(asked),
        "skill-used" => tools::skill_used(asked),
        "trajectory:tool-used" => tools::tool_used(asked),
        "trajectory:tool-sequence" => tools::sequence(asked),
        "trajectory:tool-args-match" => tools::arguments(asked),
        "trajectory:step-count" => tools::step_count(asked),
        "javascript" | "python" => script::decide(asked, assertion),
        kind if graded::KINDS.contains(&kind) => graded::decide(asked, assertion),
        kind if kind.starts_with("agent:") => crate::agent::check(asked),
        kind => Trouble::unsupported(format!("assertions of the type {kind:?}")),
    }
}

fn measured(
    asked: &Asked<'_>,
    value: Option<f64>,
    unit: &str,
    missing: &str,
) -> Result<Verdict, Trouble> {
    let threshold = asked.number()?;
    let Some(value) = value else {
        return Trouble::wrong(format!("{}: {missing}", asked.kind));
    };
    let pass = (value <= threshold) != asked.inverse;
    Ok(Verdict::of(pass, || {
        let side = if asked.inverse { "not above" } else { "above" };
        format!("{} {value}{unit} is {side} {threshold}{unit}", asked.kind)
    }))
}

fn perplexity(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let logs = &asked.facts.answer.log_probs;
    if logs.is_empty() {
        return Trouble::wrong(format!(
            "{}: whoever answered tells no log probabilities",
            asked.kind
        ));
    }
    #[expect(clippy::cast_precision_loss, reason = "nobody counts so many tokens")]
    let mean = logs.iter().sum::<f64>() / logs.len() as f64;
    if asked.kind == "perplexity" {
        let value = (-mean).exp();
        let pass = asked
            .threshold
            .is_none_or(|most| (value <= most) != asked.inverse);
        return Ok(Verdict::of(pass, || format!("a perplexity of {value:.2}")));
    }
    let value = 1.0 / (1.0 + (-mean).exp());
    Ok(Verdict {
        pass: asked
            .threshold
            .is_none_or(|least| (value >= least) != asked.inverse),
        score: if asked.inverse { 1.0 - value } else { value },
        reason: format!("a perplexity score of {value:.2}"),
    })
}

fn finish_reason(asked: &Asked<'_>) -> Result<Verdict, Trouble> {
    let Value::String(wanted) = &asked.value else {
        return Trouble::wrong("\"finish-reason\" needs a text");
    };
    let actual = asked.facts.answer.finish.as_deref();
    let same = actual.is_some_and(|actual| actual.eq_ignore_ascii_case(wanted));
    Ok(asked.decide(same, || {
        format!(
            "end for the reason {wanted:?}, it ended for {:?}",
            actual.unwrap_or("none that was told")
        )
    }))
}

fn guardrails(asked: &Asked<'_>) -> Verdict {
    let clean = !asked.facts.answer.flagged;
    asked.decide(clean, || "pass whoever guards the answers".to_owned())
}
