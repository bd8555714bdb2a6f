//! Reading, includes, variables and the strict check.

use std::path::Path;

use instar_config::{ConfigError, load, parse_str};
use serde_json::json;

use crate::support::{Bind, Sample, no_env, write};

/// The problems of a text, one per line, with the folder's name taken out.
fn problems(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("instar.json"), text);
    problems_of(&file, folder.path())
}

fn problems_of(file: &Path, folder: &Path) -> String {
    match load::<Sample>(file, &no_env) {
        Ok(_) => "no problem".to_owned(),
        Err(ConfigError::Invalid(problems)) => {
            let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
            let real = std::fs::canonicalize(folder).unwrap();
            lines
                .join("\n")
                .replace(&format!("{}/", real.display()), "")
                .replace(&real.display().to_string(), "FOLDER")
        }
        Err(other) => format!("{other:?}"),
    }
}

#[test]
fn a_missing_file_is_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = load::<Sample>(&folder.path().join("instar.json"), &no_env).unwrap();
    assert_eq!(loaded.value, Sample::default());
    assert_eq!(loaded.document, json!({}));
}

#[test]
fn json5_is_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let text = "\u{feff}// head\n{ 'gateway': { port: 0x1F90, bind: 'lan', /* in */ publicOrigin: \"a\\\nb\", },\n agents: {defaults: {temperature: +.5, bootstrapMaxChars: 1e3,},}, $schema: 'x', }\n";
    let file = write(&folder.path().join("instar.json"), text);
    let value = load::<Sample>(&file, &no_env).unwrap().value;
    assert_eq!(value.gateway.port, 8080);
    assert_eq!(value.gateway.bind, Bind::Lan);
    assert_eq!(value.gateway.public_origin.as_deref(), Some("ab"));
    assert!((value.agents.defaults.temperature - 0.5).abs() < f64::EPSILON);
    assert_eq!(value.agents.defaults.bootstrap_max_chars, 1000);
}

#[test]
fn every_problem_is_told_with_its_place() {
    insta::assert_snapshot!(problems("{\n  gateway: {\n    prot: 1,\n    port: 70000,\n    bind: \"lann\",\n    trustedProxies: [\"a\", 2],\n  },\n  models: { providers: { x: {} } },\n  bindings: [{ agentId: \"A B\", match: { kind: \"channel\" } }],\n  nonsense: true,\n}"), @r#"
    instar.json:3:5: gateway.prot: unknown key "prot"; did you mean "port"?
    instar.json:4:11: gateway.port: 70000 is out of range; expected a whole number from 1 to 65535
    instar.json:5:11: gateway.bind: "lann" is not one of the words; expected one of "lan", "custom", "loopback"; did you mean "lan"?
    instar.json:6:27: gateway.trustedProxies[1]: found a number; expected text
    instar.json:8:29: models.providers.x: the key "baseUrl" is missing; expected text
    instar.json:9:39: bindings[0].match: the key "id" is missing; expected text
    instar.json:10:3: nonsense: unknown key "nonsense"; expected one of gateway, agents, models, bindings
    "#);
}

#[test]
fn parse_str_needs_no_file() {
    assert_eq!(parse_str("{a: '${X}'}"), Ok(json!({"a": "${X}"})));
    assert!(parse_str("{a: Infinity}").is_err());
}
