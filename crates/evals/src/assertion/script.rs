//! Assertions that a script decides: what it is told, and what its answer means.
//!
//! A script is somebody's program. It runs inside walls that the caller brings ([`crate::Scripts`]), or not at
//! all; what it writes is read as an answer to one assertion and nothing else. A script that fails, or says
//! something else than a verdict, has not passed, whether or not `not-` stands before it.

use serde_json::{Value, json};

use super::{Asked, Verdict};
use crate::data;
use crate::error::Trouble;
use crate::provider::Language;
use crate::suite::Assertion;

const JAVASCRIPT: &str = include_str!("script.js");
const PYTHON: &str = include_str!("script.py");

/// The most characters of what a script says about itself.
const REASON_CHARS_MAX: usize = 2_000;

pub(super) fn decide(asked: &Asked<'_>, assertion: &Assertion) -> Result<Verdict, Trouble> {
    let Some(scripts) = asked.facts.scripts else {
        return Trouble::unsupported(format!(
            "{:?} where scripts do not run (`--scripts` lets them, inside walls)",
            asked.kind
        ));
    };
    let language = match asked.kind {
        "python" => Language::Python,
        _ => Language::JavaScript,
    };
    let mut told = source(asked, language)?;
    let mark = mark()?;
    told["mark"] = mark.as_str().into();
    told["output"] = asked.output.clone();
    told["context"] = context(asked, assertion);
    let program = match language {
        Language::JavaScript => JAVASCRIPT,
        Language::Python => PYTHON,
    };
    let answer = scripts.run(language, program, &told.to_string())?;
    let meant = answered(&answer, &mark)
        .and_then(|answer| meaning(&answer, language, asked.threshold, asked.inverse));
    Ok(meant.unwrap_or_else(|why| Verdict {
        pass: false,
        score: 0.0,
        reason: format!("the script failed: {}", short(&why)),
    }))
}

/// The text to run, and the function in it that is asked.
fn source(asked: &Asked<'_>, language: Language) -> Result<Value, Trouble> {
    match (&asked.value, language) {
        (Value::String(text), _) if text.starts_with("file://") => {
            Trouble::unsupported(format!("{:?} from the file {text:?}", asked.kind))
        }
        (Value::String(text), Language::JavaScript) => Ok(json!({ "body": body(text) })),
        (Value::String(text), Language::Python) => {
            Ok(json!({ "source": function(text), "name": "script.py", "function": "main" }))
        }
        // Read from a file when the suite was.
        (Value::Object(read), _) if read.contains_key("source") => {
            let mut told = json!({
                "source": read["source"], "name": read["name"], "function": read["function"],
            });
            if language == Language::Python && told["function"].is_null() {
                told["function"] = "get_assert".into();
            }
            Ok(told)
        }
        _ => Trouble::wrong(format!("{:?} needs a script as its value", asked.kind)),
    }
}

fn context(asked: &Asked<'_>, assertion: &Assertion) -> Value {
    let facts = asked.facts;
    let mut context = json!({
        "prompt": facts.prompt, "vars": facts.vars, "test": { "vars": facts.vars },
        "providerResponse": { "output": facts.answer.output, "cost": facts.answer.cost },
        "metadata": facts.answer.metadata, "logProbs": facts.answer.log_probs,
    });
    if !assertion.config.is_null() {
        context["config"] = assertion.config.clone();
    }
    context
}

/// Parts the answer from what the script itself printed.
fn mark() -> Result<String, Trouble> {
    let mut random = [0; 16];
    match getrandom::fill(&mut random) {
        Ok(()) => Ok(random.iter().map(|byte| format!("{byte:02x}")).collect()),
        Err(error) => Trouble::wrong(error.to_string()),
    }
}

/// One line is an expression whose value is given back; a declaration may stand before it. Several lines
/// are the body of a function.
fn body(text: &str) -> String {
    let text = text.trim_end();
    if text.contains('\n') {
        return text.to_owned();
    }
    let text = text.trim().trim_end_matches([';', ' ', '\t']);
    let declares = ["const", "let", "var"].iter().any(|word| {
        let rest = text.strip_prefix(word);
        rest.is_some_and(|rest| rest.starts_with(char::is_whitespace))
    });
    if !declares {
        return format!("return {text}");
    }
    match last_statement(text) {
        Some((before, last)) => format!("{before} return {last}"),
        None => text.to_owned(),
    }
}

/// Parts a line behind the last semicolon that stands in no text.
fn last_statement(line: &str) -> Option<(&str, &str)> {
    let (mut quote, mut escaped, mut at) = (None, false, None);
    for (place, c) in line.char_indices() {
        let plain = !escaped;
        escaped = plain && c == '\\';
        match (quote, c) {
            (None, '\'' | '"' | '`') if plain => quote = Some(c),
            (Some(open), _) if plain && open == c => quote = None,
            (None, ';') => at = Some(place + 1),
            _ => {}
        }
    }
    let (before, last) = line.split_at(at?);
    let last = last.trim();
    (!last.is_empty()).then_some((before, last))
}

/// Python in the same way: one line is an expression, several are the body of a function.
fn function(text: &str) -> String {
    const HEAD: &str = "import json\n\ndef main(output, context):\n";
    if !text.contains('\n') {
        return format!("{HEAD}    return {text}\n");
    }
    let indented = text.lines().find_map(|line| {
        let bare = line.trim_start();
        let width = line.len() - bare.len();
        (width > 0 && !bare.is_empty()).then(|| &line[..width])
    });
    let indent = indented.unwrap_or("    ");
    let lines = text.split('\n').map(|line| format!("{indent}{line}\n"));
    format!("{HEAD}{}", lines.collect::<String>())
}

/// What the script gave back, or why it gave nothing.
fn answered(said: &str, mark: &str) -> Result<Value, String> {
    let (_, answer) = said
        .rsplit_once(mark)
        .ok_or("it ended before it had answered")?;
    let answer: Value =
        serde_json::from_str(answer).map_err(|_| "what it gave back is no JSON".to_owned())?;
    match answer.get("error") {
        Some(error) => Err(data::as_text(error)),
        None => Ok(answer.get("value").cloned().unwrap_or(Value::Null)),
    }
}

fn meaning(
    value: &Value,
    language: Language,
    threshold: Option<f64>,
    inverse: bool,
) -> Result<Verdict, String> {
    match value {
        Value::Bool(pass) => Ok(said(*pass, None, inverse)),
        Value::Number(number) => {
            let score = number.as_f64().ok_or("a number that is too large")?;
            Ok(scored(score, threshold, inverse))
        }
        Value::Object(_) => graded(value, language, threshold, inverse),
        // Python hands texts on that mean one of the others.
        Value::String(text) if language == Language::Python => {
            let text = text.as_str();
            if text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false") {
                return Ok(said(text.eq_ignore_ascii_case("true"), None, inverse));
            }
            if text.starts_with('{') {
                let read = data::json(text).ok_or("a text that looks like JSON and is none")?;
                return graded(&read, language, threshold, inverse);
            }
            match leading_number(text) {
                Some(score) => Ok(scored(score, threshold, inverse)),
                None => Err(no_verdict(value)),
            }
        }
        _ => Err(no_verdict(value)),
    }
}

fn no_verdict(value: &Value) -> String {
    format!(
        "it gave {}, and not true or false, a number, or an object with `pass`, `score` and `reason`",
        short(&data::as_text(value))
    )
}

fn said(raw: bool, score: Option<f64>, inverse: bool) -> Verdict {
    let pass = raw != inverse;
    let mut verdict = Verdict::of(pass, || format!("the script said {raw}"));
    verdict.score = score.unwrap_or(verdict.score);
    verdict
}

fn scored(score: f64, threshold: Option<f64>, inverse: bool) -> Verdict {
    let raw = threshold.map_or(score > 0.0, |least| score >= least);
    said(raw, Some(score), inverse)
}

/// An object with `pass`, `score` and `reason`. Python may write `pass_`, and is held to a threshold.
fn graded(
    value: &Value,
    language: Language,
    threshold: Option<f64>,
    inverse: bool,
) -> Result<Verdict, String> {
    let python = language == Language::Python;
    let pass = value
        .get("pass")
        .or_else(|| value.get("pass_").filter(|_| python));
    let fields = (pass, value.get("score"), value.get("reason"));
    let (Some(Value::Bool(pass)), Some(Value::Number(score)), Some(Value::String(reason))) = fields
    else {
        return Err(no_verdict(value));
    };
    let score = score.as_f64().ok_or("a score that is too large")?;
    let mut verdict = said(*pass, Some(score), inverse);
    if let Some(least) = threshold.filter(|least| python && score < *least) {
        verdict = said(false, Some(score), inverse);
        verdict.reason = format!("a score of {score} is below {least}: {}", short(reason));
    } else if *pass != inverse || !inverse {
        verdict.reason = short(reason);
    }
    Ok(verdict)
}

/// The number that a text begins with.
fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim_start();
    let ends = (1..=text.len()).rev();
    ends.filter(|end| text.is_char_boundary(*end))
        .take(64)
        .map(|end| &text[..end])
        .filter(|part| part.ends_with(|c: char| c.is_ascii_digit() || c == '.'))
        .find_map(|part| part.parse().ok())
}

fn short(text: &str) -> String {
    text.chars().take(REASON_CHARS_MAX).collect()
}
