//! Tests into cases: defaults put in, scenarios multiplied, lists of values taken apart.

use serde_json::{Map, Value, json};

use super::{Check, Test};
use crate::bounds::CASES_MAX;
use crate::data;
use crate::error::SuiteError;
use crate::files::Files;

/// One case: values, what has to hold, and the case's own wishes.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The place among the cases of its suite, from 0.
    pub index: usize,
    pub description: Option<String>,
    pub vars: Map<String, Value>,
    pub checks: Vec<Check>,
    pub threshold: Option<f64>,
    pub prefix: String,
    pub suffix: String,
    pub transform: Option<String>,
    /// Overrides how often the whole suite is repeated.
    pub repeat: Option<u32>,
    pub metadata: Map<String, Value>,
    pub prompts: Option<Vec<String>>,
    pub providers: Option<Vec<String>>,
    /// An answer that is given: nobody is asked.
    pub output: Option<Value>,
    pub agent: Option<Value>,
    pub unsupported: Option<String>,
}

impl Case {
    /// What makes this case what it is, for the digest of the suite.
    pub(super) fn identity(&self) -> Value {
        let checks = self.written();
        let mut whole = json!({
            "description": self.description, "vars": self.vars, "checks": checks, "threshold": self.threshold,
            "prefix": self.prefix, "suffix": self.suffix, "transform": self.transform, "repeat": self.repeat,
            "metadata": self.metadata, "prompts": self.prompts, "providers": self.providers,
            "output": self.output, "agent": self.agent, "unsupported": self.unsupported,
        });
        let read = self.read_in();
        if !read.is_empty() {
            whole["read"] = json!(read);
        }
        whole
    }

    /// What assertions have from files: the name alone is not what they mean.
    fn read_in(&self) -> Vec<&Value> {
        let each = self.checks.iter().flat_map(|check| match check {
            Check::One(one) => std::slice::from_ref(&**one),
            Check::Set { checks, .. } => checks.as_slice(),
        });
        let read = each.filter(|one| one.written.get("value").is_some_and(|it| *it != one.value));
        read.map(|one| &one.value).collect()
    }

    /// Its assertions as they were written.
    #[must_use]
    pub(crate) fn written(&self) -> Vec<Value> {
        self.checks
            .iter()
            .map(|check| match check {
                Check::One(one) => one.written.clone(),
                Check::Set {
                    checks,
                    threshold,
                    weight,
                    metric,
                } => {
                    let written: Vec<_> = checks.iter().map(|one| &one.written).collect();
                    json!({
                        "type": "assert-set", "assert": written, "threshold": threshold, "weight": weight,
                        "metric": metric,
                    })
                }
            })
            .collect()
    }

    /// A short name for people.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.description {
            Some(description) => description.clone(),
            None => format!("case {}", self.index + 1),
        }
    }
}

/// All cases, plain tests before scenarios.
pub(super) fn expand(
    default: &Test,
    tests: Vec<Test>,
    scenarios: &[(Test, Test)],
    files: &Files,
) -> Result<Vec<Case>, SuiteError> {
    let mut tests = tests;
    tests.extend(scenarios.iter().map(|(config, test)| merged(config, test)));
    if tests.is_empty() {
        tests.push(Test::default());
    }
    let mut cases = Vec::new();
    for test in tests {
        let test = with_default(default, test);
        let place = format!("tests[{}]", cases.len());
        let plain = test
            .options
            .get("disableVarExpansion")
            .is_some_and(data::truthy);
        let combinations = match plain {
            true => vec![test.vars.clone()],
            false => combinations(&test.vars, &place, files)?,
        };
        if cases.len() + combinations.len() > CASES_MAX {
            return Err(SuiteError::content(
                place,
                format!("more than {CASES_MAX} cases"),
            ));
        }
        for vars in combinations {
            let vars = read_in(vars, files)?;
            cases.push(case(&test, vars, cases.len()));
        }
    }
    Ok(cases)
}

fn case(test: &Test, vars: Map<String, Value>, index: usize) -> Case {
    let text = |key: &str| {
        test.options
            .get(key)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let repeat = test.options.get("repeat").and_then(Value::as_u64);
    Case {
        index,
        description: test.description.clone(),
        vars,
        checks: test.checks.clone(),
        threshold: test.threshold,
        prefix: text("prefix").unwrap_or_default(),
        suffix: text("suffix").unwrap_or_default(),
        transform: text("transform").or_else(|| text("postprocess")),
        repeat: repeat
            .and_then(|n| u32::try_from(n).ok())
            .filter(|n| *n > 0),
        metadata: test.metadata.clone(),
        prompts: test.prompts.clone(),
        providers: test.providers.clone(),
        output: test.output.clone(),
        agent: test.agent.clone(),
        unsupported: test.unsupported.clone(),
    }
}

/// A scenario's configuration with one of its tests, which has the last word.
fn merged(config: &Test, test: &Test) -> Test {
    Test {
        description: test
            .description
            .clone()
            .or_else(|| config.description.clone()),
        vars: over(&config.vars, &test.vars),
        checks: config.checks.iter().chain(&test.checks).cloned().collect(),
        threshold: test.threshold.or(config.threshold),
        options: over(&config.options, &test.options),
        metadata: over(&config.metadata, &test.metadata),
        prompts: test.prompts.clone().or_else(|| config.prompts.clone()),
        providers: test.providers.clone().or_else(|| config.providers.clone()),
        output: test.output.clone().or_else(|| config.output.clone()),
        agent: test.agent.clone().or_else(|| config.agent.clone()),
        unsupported: test
            .unsupported
            .clone()
            .or_else(|| config.unsupported.clone()),
    }
}

fn with_default(default: &Test, test: Test) -> Test {
    let own_only = test
        .options
        .get("disableDefaultAsserts")
        .is_some_and(data::truthy);
    let first: &[Check] = if own_only { &[] } else { &default.checks };
    Test {
        vars: over(&default.vars, &test.vars),
        checks: first.iter().chain(&test.checks).cloned().collect(),
        threshold: test.threshold.or(default.threshold),
        options: over(&default.options, &test.options),
        metadata: over(&default.metadata, &test.metadata),
        prompts: test.prompts.or_else(|| default.prompts.clone()),
        providers: test.providers.or_else(|| default.providers.clone()),
        output: test.output.or_else(|| default.output.clone()),
        agent: test.agent.or_else(|| default.agent.clone()),
        unsupported: test.unsupported.or_else(|| default.unsupported.clone()),
        description: test.description,
    }
}

fn over(under: &Map<String, Value>, over: &Map<String, Value>) -> Map<String, Value> {
    let mut both = under.clone();
    both.extend(over.iter().map(|(key, value)| (key.clone(), value.clone())));
    both
}

/// Every choice of one value from each list of texts; other lists are values themselves.
fn combinations(
    vars: &Map<String, Value>,
    place: &str,
    files: &Files,
) -> Result<Vec<Map<String, Value>>, SuiteError> {
    let mut found = vec![Map::new()];
    for (name, value) in vars {
        let values: Vec<Value> = match value {
            Value::Array(items) if items.first().is_some_and(Value::is_string) => items.clone(),
            Value::String(text) if text.starts_with("file://") => files
                .matching(text)?
                .into_iter()
                .map(|file| format!("file://{file}").into())
                .collect(),
            other => vec![other.clone()],
        };
        if found.len().saturating_mul(values.len()) > CASES_MAX {
            return Err(SuiteError::content(
                place,
                format!("more than {CASES_MAX} cases"),
            ));
        }
        found = found
            .iter()
            .flat_map(|one| {
                values.iter().map(move |value| {
                    let mut one = one.clone();
                    one.insert(name.clone(), value.clone());
                    one
                })
            })
            .collect();
    }
    Ok(found)
}

/// Values that name files become what is in them.
fn read_in(mut vars: Map<String, Value>, files: &Files) -> Result<Map<String, Value>, SuiteError> {
    for value in vars.values_mut() {
        let Value::String(name) = &*value else {
            continue;
        };
        if !name.starts_with("file://") {
            continue;
        }
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        if [
            "js", "cjs", "mjs", "ts", "py", "pdf", "png", "jpg", "jpeg", "gif", "webp",
        ]
        .contains(&ending)
        {
            let problem = format!("a value from a file of the kind {ending:?} is not supported");
            return Err(SuiteError::file(name.as_str(), problem));
        }
        let text = files.text(name)?;
        *value = Value::String(match ending {
            "yaml" | "yml" => {
                let read = data::yaml(&text);
                read.map_err(|p| SuiteError::file(name.as_str(), p))?
                    .to_string()
            }
            _ => text.trim().to_owned(),
        });
    }
    Ok(vars)
}
