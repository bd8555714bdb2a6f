//! Reading a suite's file and everything that it names.

use serde_json::{Map, Value, json};

use super::{
    Assertion, Check, Dataset, Derived, Suite, Test, cases, digest, prompts, providers, rows,
    script,
};
use crate::bounds::{CASES_MAX, CHECKS_MAX};
use crate::data::{self, show};
use crate::error::SuiteError;
use crate::files::Files;

/// What a suite may say. What means nothing here is read over; what would change results is not.
const READ_OVER: [&str; 14] = [
    "$schema",
    "description",
    "tags",
    "outputPath",
    "env",
    "metadata",
    "sharing",
    "writeLatestResults",
    "commandLineOptions",
    "evaluateOptions",
    "assertionTemplates",
    "redteam",
    "tracing",
    "version",
];
const READ: [&str; 8] = [
    "prompts",
    "providers",
    "targets",
    "tests",
    "scenarios",
    "defaultTest",
    "derivedMetrics",
    "name",
];

impl Suite {
    /// Reads the suite in a file.
    pub fn open(path: &std::path::Path) -> Result<Self, SuiteError> {
        let shown = path.display().to_string();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| SuiteError::file(&shown, "is no file"))?;
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let files = Files::beneath(parent.unwrap_or(std::path::Path::new(".")))?;
        Self::read(name, &files)
    }

    /// Reads a suite by the name of its file.
    pub fn read(name: &str, files: &Files) -> Result<Self, SuiteError> {
        let value = load(name, files)?;
        Self::of(name, &value, files)
    }

    /// A suite from its value.
    pub fn of(name: &str, value: &Value, files: &Files) -> Result<Self, SuiteError> {
        let Value::Object(map) = value else {
            return Err(SuiteError::file(name, "a suite is a mapping with `tests`"));
        };
        for key in map.keys() {
            let key = key.as_str();
            if !READ.contains(&key) && !READ_OVER.contains(&key) {
                let problem = "is not supported, so that results would not be what the suite means";
                return Err(SuiteError::content(key, problem));
            }
        }
        let prompts = prompts::read(map.get("prompts"), files)?;
        let providers =
            providers::read(map.get("providers").or_else(|| map.get("targets")), files)?;
        let before = files.seen();
        let default = match map.get("defaultTest") {
            None | Some(Value::Null) => Test::default(),
            Some(Value::String(file)) => {
                let value = load(file, files)?;
                test(&value, "defaultTest", files)?
            }
            Some(value) => test(value, "defaultTest", files)?,
        };
        let tests = tests(map.get("tests"), files)?;
        let scenarios = scenarios(map.get("scenarios"), files)?;
        let derived = derived(map.get("derivedMetrics"))?;
        let env = map
            .get("env")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let cases = cases::expand(&default, tests, &scenarios, files)?;
        let mut suite = Self {
            name: text_of(map, "name").unwrap_or_else(|| name.to_owned()),
            description: text_of(map, "description").unwrap_or_default(),
            digest: String::new(),
            datasets: files
                .seen()
                .into_iter()
                .filter(|(name, _)| !before.contains_key(name))
                .map(|(name, digest)| Dataset { name, digest })
                .collect(),
            prompts,
            providers,
            derived,
            cases,
            env,
        };
        suite.digest = digest::of(&suite)?;
        Ok(suite)
    }
}

pub(super) fn text_of(map: &Map<String, Value>, key: &str) -> Option<String> {
    map.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// One name or several.
pub(super) fn names(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().map(show).collect(),
        other => vec![show(other)],
    }
}

/// A YAML or JSON file as a value, with its references followed.
pub(super) fn load(file: &str, files: &Files) -> Result<Value, SuiteError> {
    let value = data::in_file(file, &files.text(file)?).map_err(|p| SuiteError::file(file, p))?;
    data::follow_references(&value).map_err(|problem| SuiteError::file(file, problem))
}

pub(super) fn tests(value: Option<&Value>, files: &Files) -> Result<Vec<Test>, SuiteError> {
    let mut found = Vec::new();
    match value {
        None | Some(Value::Null) => {}
        Some(Value::String(pattern)) => {
            for file in files.matching(pattern)? {
                found.extend(tests_in(&file, files)?);
            }
        }
        Some(Value::Array(items)) => {
            for (index, item) in items.iter().enumerate() {
                match item {
                    Value::String(pattern) => {
                        for file in files.matching(pattern)? {
                            found.extend(tests_in(&file, files)?);
                        }
                    }
                    item => found.push(test(item, &format!("tests[{index}]"), files)?),
                }
                if found.len() > CASES_MAX {
                    return Err(SuiteError::content(
                        "tests",
                        format!("more than {CASES_MAX}"),
                    ));
                }
            }
        }
        Some(Value::Object(_)) => {
            return Err(SuiteError::content(
                "tests",
                "a generator of tests is not supported",
            ));
        }
        Some(other) => return Err(SuiteError::content("tests", format!("{other} is no list"))),
    }
    Ok(found)
}

fn tests_in(file: &str, files: &Files) -> Result<Vec<Test>, SuiteError> {
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
    let rows: Vec<Value> = match ending {
        "csv" => {
            let rows = crate::csv::rows(&files.text(file)?);
            let rows = rows.map_err(|problem| SuiteError::file(file, problem))?;
            let tests = rows
                .iter()
                .enumerate()
                .map(|(index, row)| rows::test(row, index, files));
            return tests
                .collect::<Result<_, _>>()
                .map_err(|p| SuiteError::file(file, p));
        }
        "jsonl" => files
            .text(file)?
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(index, line)| {
                let wrong = || SuiteError::file(file, format!("line {} is no JSON", index + 1));
                data::json(line).ok_or_else(wrong)
            })
            .collect::<Result<_, _>>()?,
        "yaml" | "yml" | "json" => match load(file, files)? {
            Value::Array(items) => items,
            other => vec![other],
        },
        _ => {
            let problem = "tests are read from YAML, JSON, JSONL and CSV";
            return Err(SuiteError::file(file, problem));
        }
    };
    rows.iter()
        .enumerate()
        .map(|(index, row)| {
            let mut test = test(row, &format!("{file}[{index}]"), files)?;
            // Only files of JSON name their rows.
            if test.description.is_none() && ending.starts_with("json") {
                test.description = Some(format!("Row #{}", index + 1));
            }
            Ok(test)
        })
        .collect()
}

/// A test from its value.
pub(super) fn test(value: &Value, place: &str, files: &Files) -> Result<Test, SuiteError> {
    let wrong = |problem: String| SuiteError::content(place, problem);
    let Value::Object(map) = value else {
        return Err(wrong(format!("{value} is no test")));
    };
    let object = |key: &str| match map.get(key) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(inner)) => Ok(inner.clone()),
        Some(_) => Err(wrong(format!("`{key}` must be a mapping"))),
    };
    let vars = match map.get("vars") {
        Some(Value::String(_) | Value::Array(_)) => {
            let mut vars = Map::new();
            for pattern in names(&map["vars"]) {
                for file in files.matching(&pattern)? {
                    if let Value::Object(more) = load(&file, files)? {
                        vars.extend(more);
                    }
                }
            }
            vars
        }
        _ => object("vars")?,
    };
    let mut checks = Vec::new();
    match map.get("assert") {
        None | Some(Value::Null) => {}
        Some(Value::Array(items)) => {
            for item in items {
                checks.extend(check(item, place, files)?);
            }
        }
        Some(_) => return Err(wrong("`assert` must be a list".to_owned())),
    }
    if checks.len() > CHECKS_MAX {
        return Err(wrong(format!("more than {CHECKS_MAX} assertions")));
    }
    let options = object("options")?;
    Ok(Test {
        description: text_of(map, "description"),
        vars,
        checks,
        threshold: number(map.get("threshold"), place, "threshold")?,
        unsupported: unsupported(map, &options),
        options,
        metadata: object("metadata")?,
        prompts: map.get("prompts").map(names),
        providers: map.get("providers").map(names),
        output: map.get("providerOutput").cloned(),
        agent: map.get("agent").cloned(),
    })
}

/// What a test asks for that is not done here.
fn unsupported(map: &Map<String, Value>, options: &Map<String, Value>) -> Option<String> {
    let in_test = ["assertScoringFunction", "provider"]
        .into_iter()
        .find(|key| map.get(*key).is_some_and(|value| !value.is_null()));
    let in_options = ["transformVars", "storeOutputAs", "runSerially"]
        .into_iter()
        .find(|key| options.get(*key).is_some_and(data::truthy));
    in_test
        .or(in_options)
        .map(|key| format!("`{key}` of a test"))
}

fn number(value: Option<&Value>, place: &str, key: &str) -> Result<Option<f64>, SuiteError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => Ok(number.as_f64()),
        Some(other) => Err(SuiteError::content(
            place,
            format!("`{key}` is {other}, no number"),
        )),
    }
}

/// The assertions that a value stands for: itself, a set, or the file that it names.
fn check(value: &Value, place: &str, files: &Files) -> Result<Vec<Check>, SuiteError> {
    if let Value::String(name) = value {
        let Value::Array(items) = load(name, files)? else {
            return Err(SuiteError::file(name, "a file of assertions holds a list"));
        };
        let mut found = Vec::new();
        for item in &items {
            // A file cannot name files: there would be no end to it.
            if item.is_string() {
                return Err(SuiteError::file(
                    name,
                    "an assertion is a mapping with `type`",
                ));
            }
            found.extend(check(item, place, files)?);
        }
        return Ok(found);
    }
    let Value::Object(map) = value else {
        return Err(SuiteError::content(
            place,
            format!("{value} is no assertion"),
        ));
    };
    if map.get("type").and_then(Value::as_str) == Some("assert-set") {
        let Some(Value::Array(items)) = map.get("assert") else {
            return Err(SuiteError::content(place, "an assert-set needs `assert`"));
        };
        let checks = items
            .iter()
            .map(|item| assertion(item, place, files))
            .collect::<Result<_, _>>()?;
        return Ok(vec![Check::Set {
            checks,
            threshold: number(map.get("threshold"), place, "threshold")?,
            weight: number(map.get("weight"), place, "weight")?.unwrap_or(1.0),
            metric: text_of(map, "metric"),
        }]);
    }
    Ok(vec![Check::One(Box::new(assertion(value, place, files)?))])
}

fn assertion(value: &Value, place: &str, files: &Files) -> Result<Assertion, SuiteError> {
    let kind = value.get("type").and_then(Value::as_str);
    let (Some(kind), Value::Object(map)) = (kind, value) else {
        return Err(SuiteError::content(place, "an assertion needs a `type`"));
    };
    let (inverse, plain) = match kind.strip_prefix("not-") {
        Some(plain) => (true, plain),
        None => (false, kind),
    };
    Ok(Assertion {
        kind: plain.to_owned(),
        inverse,
        value: match script::read(plain, map.get("value"), files)? {
            Some(script) => script,
            None => expected(map.get("value"), files)?,
        },
        threshold: number(map.get("threshold"), place, "threshold")?,
        weight: number(map.get("weight"), place, "weight")?.unwrap_or(1.0),
        metric: text_of(map, "metric"),
        transform: text_of(map, "transform"),
        config: map.get("config").cloned().unwrap_or(Value::Null),
        written: value.clone(),
    })
}

/// What an assertion compares with; a file of data is read in, a script stays a name.
fn expected(value: Option<&Value>, files: &Files) -> Result<Value, SuiteError> {
    match value {
        None => Ok(Value::Null),
        Some(Value::String(name)) if name.starts_with("file://") => {
            let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
            match ending {
                "json" | "yaml" | "yml" => load(name, files),
                "txt" | "md" => Ok(files.text(name)?.trim().into()),
                _ => Ok(name.as_str().into()),
            }
        }
        Some(Value::Array(items)) => items.iter().map(|one| expected(Some(one), files)).collect(),
        Some(other) => Ok(other.clone()),
    }
}

/// Each entry of `config` with each of `tests`.
fn scenarios(value: Option<&Value>, files: &Files) -> Result<Vec<(Test, Test)>, SuiteError> {
    let mut items = Vec::new();
    match value {
        None | Some(Value::Null) => {}
        Some(Value::Array(all)) => {
            for item in all {
                match item {
                    Value::String(file) => match load(file, files)? {
                        Value::Array(more) => items.extend(more),
                        one => items.push(one),
                    },
                    other => items.push(other.clone()),
                }
            }
        }
        Some(other) => {
            return Err(SuiteError::content(
                "scenarios",
                format!("{other} is no list"),
            ));
        }
    }
    let mut found = Vec::new();
    for (index, scenario) in items.iter().enumerate() {
        let place = format!("scenarios[{index}]");
        let configs = match scenario.get("config") {
            Some(Value::Array(configs)) => configs
                .iter()
                .map(|config| test(config, &place, files))
                .collect::<Result<Vec<_>, _>>()?,
            Some(config @ Value::String(_)) => tests(Some(config), files)?,
            _ => return Err(SuiteError::content(place, "needs a list `config`")),
        };
        let inner = match scenario.get("tests") {
            None | Some(Value::Null) => vec![Test::default()],
            some => tests(some, files)?,
        };
        for config in &configs {
            found.extend(inner.iter().map(|test| (config.clone(), test.clone())));
            if found.len() > CASES_MAX {
                return Err(SuiteError::content(
                    place,
                    format!("more than {CASES_MAX} cases"),
                ));
            }
        }
    }
    Ok(found)
}

fn derived(value: Option<&Value>) -> Result<Vec<Derived>, SuiteError> {
    let Some(Value::Array(items)) = value else {
        return Ok(Vec::new());
    };
    items
        .iter()
        .map(|item| {
            let text = |key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
            match (text("name"), text("value")) {
                (Some(name), Some(formula)) => Ok(Derived { name, formula }),
                _ => Err(SuiteError::content(
                    "derivedMetrics",
                    "each has a `name` and a `value` that is a formula",
                )),
            }
        })
        .collect()
}

impl Assertion {
    /// An assertion as a row of a table writes it.
    pub(super) fn short(kind: &str, value: Value, threshold: Option<f64>) -> Self {
        let (inverse, plain) = match kind.strip_prefix("not-") {
            Some(plain) => (true, plain),
            None => (false, kind),
        };
        let mut written = json!({"type": kind, "value": value});
        if let Some(threshold) = threshold {
            written["threshold"] = data::number_of(threshold);
        }
        Self {
            kind: plain.to_owned(),
            inverse,
            value,
            threshold,
            weight: 1.0,
            metric: None,
            transform: None,
            config: Value::Null,
            written,
        }
    }
}
