//! Reading, includes, variables and the strict check.

use std::path::Path;

use instar_config::{ConfigError, load, load_with, parse_str};
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

/// A folder with these files; the first is the main one.
fn folder_with(files: &[(&str, &str)]) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        write(&folder.path().join(name), text);
    }
    let main = folder.path().join(files[0].0);
    (folder, main)
}

fn problems_in(files: &[(&str, &str)]) -> String {
    let (folder, main) = folder_with(files);
    problems_of(&main, folder.path())
}

#[test]
fn includes_are_merged_and_the_including_file_wins() {
    let (_folder, main) = folder_with(&[
        (
            "instar.json",
            "{$include: ['a.json', 'sub/b.json'], gateway: {bind: 'custom'}, bindings: {$include: 'list.json'}}",
        ),
        (
            "a.json",
            "{gateway: {port: 1, bind: 'lan', publicOrigin: 'a'}}",
        ),
        ("sub/b.json", "{$include: 'c.json', gateway: {port: 2}}"),
        ("sub/c.json", "{gateway: {trustedProxies: ['c']}}"),
        (
            "list.json",
            "[{agentId: 'main', match: {kind: 'everything'}}]",
        ),
    ]);
    let loaded = load::<Sample>(&main, &no_env).unwrap();
    assert_eq!(loaded.value.gateway.port, 2);
    assert_eq!(loaded.value.gateway.bind, Bind::Custom);
    assert_eq!(loaded.value.gateway.public_origin.as_deref(), Some("a"));
    assert_eq!(loaded.value.gateway.trusted_proxies, ["c"]);
    assert_eq!(loaded.value.bindings.len(), 1);
    assert_eq!(loaded.files.len(), 5);
    let before = loaded.hash;
    write(&main.parent().unwrap().join("sub/c.json"), "{}");
    assert_ne!(load::<Sample>(&main, &no_env).unwrap().hash, before);
}

#[test]
fn includes_that_lead_astray_are_refused() {
    let (folder, main) = folder_with(&[
        (
            "conf/instar.json",
            "{$include: ['../out.json', 'no.json', '${X}', 3, 'link.json', 'bad.json']}",
        ),
        ("out.json", "{}"),
        ("conf/bad.json", "{gateway: {\n  prot: 1}}"),
    ]);
    std::os::unix::fs::symlink(
        folder.path().join("out.json"),
        folder.path().join("conf/link.json"),
    )
    .unwrap();
    insta::assert_snapshot!(problems_of(&main, folder.path()), @r#"
    conf/instar.json:1:13: $include: out.json lies outside conf: move it there, or write its path out from the root
    conf/instar.json:1:28: $include: cannot read conf/no.json: No such file or directory (os error 2)
    conf/instar.json:1:39: $include: variables are not filled in here: write the file name out
    conf/instar.json:1:47: $include: expected a file name
    conf/instar.json:1:50: $include: out.json lies outside conf: move it there, or write its path out from the root
    conf/bad.json:2:3: gateway.prot: unknown key "prot"; did you mean "port"?
    "#);
    insta::assert_snapshot!(problems_in(&[("instar.json", "{gateway: {$include: 'a.json'}}"), ("a.json", "{auth: {$include: 'instar.json'}}")]), @"a.json:1:19: gateway.auth.$include: instar.json includes itself");
    let outside = tempfile::tempdir().unwrap();
    let path = write(&outside.path().join("x.json"), "{gateway: {port: 9}}");
    let (_folder, main) = folder_with(&[(
        "instar.json",
        &format!("{{$include: '{}'}}", path.display()),
    )]);
    assert_eq!(
        load::<Sample>(&main, &no_env).unwrap().value.gateway.port,
        9
    );
}

#[test]
fn includes_are_bounded() {
    let chain: Vec<_> = (0..12)
        .map(|n| {
            (
                format!("{n}.json"),
                format!("{{$include: '{}.json'}}", n + 1),
            )
        })
        .collect();
    let files: Vec<_> = chain
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    assert!(problems_in(&files).contains("nested more than 8 deep"));
    let many = vec!["'a.json'"; 100].join(",");
    assert!(
        problems_in(&[
            ("instar.json", &format!("{{$include: [{many}]}}")),
            ("a.json", "{}")
        ])
        .contains("at most 64 files")
    );
    let large = format!("{{}}//{}", "x".repeat(1 << 20));
    assert!(
        problems_in(&[("instar.json", "{$include: 'a.json'}"), ("a.json", &large)])
            .contains("larger than 1048576 bytes")
    );
    let (_folder, main) = folder_with(&[("instar.json", &large)]);
    assert!(matches!(
        load::<Sample>(&main, &no_env),
        Err(ConfigError::Read { .. })
    ));
}

#[test]
fn variables_are_filled_in_and_missing_ones_told() {
    let (folder, main) = folder_with(&[(
        "instar.json",
        "{gateway: {publicOrigin: 'https://${HOST}:$${X}$', trustedProxies: ['${A}${HOST}']}}",
    )]);
    let env = |name: &str| match name {
        "HOST" => Some("h".to_owned()),
        "A" => Some("${HOST}".to_owned()),
        _ => None,
    };
    let value = load::<Sample>(&main, &env).unwrap().value;
    assert_eq!(
        value.gateway.public_origin.as_deref(),
        Some("https://h:${X}$")
    );
    // What a variable holds is not looked at again.
    assert_eq!(value.gateway.trusted_proxies, ["${HOST}h"]);
    insta::assert_snapshot!(problems_of(&main, folder.path()), @"
    instar.json:1:26: gateway.publicOrigin: the environment variable HOST is not set; set HOST, or write the value out
    instar.json:1:69: gateway.trustedProxies[0]: the environment variable A is not set; set A, or write the value out
    ");
    insta::assert_snapshot!(problems("{gateway: {publicOrigin: '${not a name}', trustedProxies: ['${OPEN']}}"), @"
    instar.json:1:26: gateway.publicOrigin: '${' is not followed by a variable name and '}'; write $${ for these two characters themselves
    instar.json:1:60: gateway.trustedProxies[0]: '${' is not followed by a variable name and '}'; write $${ for these two characters themselves
    ");
}

#[test]
fn a_variables_value_is_in_no_message() {
    let (_folder, main) = folder_with(&[(
        "instar.json",
        "{gateway: {bind: '${X}'}, bindings: [{agentId: '${X}', match: {kind: 'everything'}}]}",
    )]);
    let env = |_: &str| Some("CANARY value".to_owned());
    let first = load::<Sample>(&main, &env).unwrap_err();
    write(
        &main,
        "{bindings: [{agentId: '${X}', match: {kind: 'everything'}}]}",
    );
    let second = load::<Sample>(&main, &env).unwrap_err();
    for error in [first, second] {
        assert!(!error.problems().is_empty());
        let text = format!("{error:?}{}", error.render());
        assert!(!text.contains("CANARY"), "{text}");
    }
}

#[test]
fn what_only_the_type_knows_has_a_place_too() {
    insta::assert_snapshot!(problems("{\n  bindings: [\n    { agentId: 'A B', match: { kind: 'everything' } },\n  ],\n}"), @r#"instar.json:3:16: bindings[0].agentId: agent id "A B" is not 1 to 64 lower-case letters, digits, '-' or '_'"#);
}

#[test]
fn broken_syntax_is_told_in_words() {
    let all = [
        "{gateway: {port: 1}",
        "{gateway: {port: 1 bind: 'lan'}}",
        "{gateway: lan}",
        "{gateway: {port: Infinity}}",
        "{gateway: {port: 1e999}}",
        "{gateway: {port: 99999999999999999999}}",
        "{a: 'open\n}",
        "{a: 1, a: 2}",
        "[]",
        "{} {}",
        "{a: \"\\q\", 'b': }",
        "{/* open",
    ];
    let said: Vec<_> = all.iter().map(|text| problems(text)).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    instar.json:1:1: this '{' is never closed
    instar.json:1:19: a comma is missing
    instar.json:1:11: a word stands where a value belongs; text needs quotes
    instar.json:1:18: gateway.port: Infinity is not a configuration value
    instar.json:1:18: gateway.port: the number 1e999 is too large
    instar.json:1:18: gateway.port: the number 99999999999999999999 is too large
    instar.json:1:5: unterminated string literal
    instar.json:1:8: a: the key "a" stands here twice
    instar.json:1:1: the document is not an object: start it with '{'
    instar.json:1:4: something follows after the end of the document
    instar.json:1:16: unexpected close brace
    instar.json:1:2: this comment is never closed
    "#);
    let (folder, main) = folder_with(&[("instar.json", "")]);
    std::fs::write(&main, b"{a: '\xff'}").unwrap();
    insta::assert_snapshot!(problems_of(&main, folder.path()), @"instar.json:1:6: the file is not UTF-8 text from here on");
}

#[test]
fn problems_are_drawn_without_secrets() {
    let draw = |text: &str| {
        let (folder, main) = folder_with(&[("instar.json", text)]);
        let rendered = load::<Sample>(&main, &no_env).unwrap_err().render();
        rendered.replace(&format!("{}/", folder.path().display()), "")
    };
    insta::assert_snapshot!(draw("{\n  gateway: {\n    prot: 1, // pin 1234\n    bind: 'lann',\n  },\n}"), @r#"
    error: gateway.prot: unknown key "prot"
     --> instar.json:3:5
      |
    3 |     prot: 1, //
      |     ^
      = help: did you mean "port"?
    error: gateway.bind: "lann" is not one of the words
     --> instar.json:4:11
      |
    4 |     bind: 'lann',
      |           ^
      = expected: one of "lan", "custom", "loopback"
      = help: did you mean "lan"?
    "#);
    insta::assert_snapshot!(draw("{ gateway: { auth: { token: 'CANARY' }, prot: 1, publicOrigin: \"CANARY\" }, /* CANARY */ }"), @r#"
    error: gateway.auth.token: found text
     --> instar.json:1:29
      |
    1 | { gateway: { auth: { token: '******' }, prot: 1, publicOrigin: "******" }, /*           }
      |                             ^
      = expected: a reference to a secret
      = help: secrets never sit in the configuration: run `instar secrets set gateway-auth-token` and use {source: "store", id: "gateway-auth-token"}
    error: gateway.prot: unknown key "prot"
     --> instar.json:1:41
      |
    1 | { gateway: { auth: { token: '******' }, prot: 1, publicOrigin: "******" }, /*           }
      |                                         ^
      = help: did you mean "port"?
    "#);
    insta::assert_snapshot!(draw("{ gateway: { auth: { token: 271828 }}}"), @r#"
    error: gateway.auth.token: found a number
     --> instar.json:1:29
      |
    1 | { gateway: { auth: { token: ****** }}}
      |                             ^
      = expected: a reference to a secret
      = help: secrets never sit in the configuration: run `instar secrets set gateway-auth-token` and use {source: "store", id: "gateway-auth-token"}
    "#);
    assert!(!draw("{ gateway: { auth: { token: CANARY }}}").contains("CANARY 1"));
    for text in [
        "{ models: { token: 'CANARY }",
        "{ a: 'x' 'CANARY' }",
        "{ 'a\\\nCANARY': 1, b: 'CANARY\\\nCANARY', c: 2 }",
    ] {
        let drawn = draw(text);
        assert!(!drawn.contains("CANARY") || text.contains("'a"), "{drawn}");
    }
}

#[test]
fn deep_nesting_is_refused_without_harm() {
    for (open, close) in [("[", "]"), ("{a:", "}")] {
        let deep = format!("{{a: {}1{}}}", open.repeat(50_000), close.repeat(50_000));
        let problems = parse_str(&deep).unwrap_err();
        assert_eq!(problems[0].message, "the document is nested too deeply");
        let allowed = format!("{{a: {}1{}}}", open.repeat(200), close.repeat(200));
        assert!(parse_str(&allowed).is_ok());
        assert!(problems_in(&[("instar.json", &allowed)]).contains("unknown key"));
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_read_or_refused(text in "[{}\\[\\]:,'\"a-c0-9x+.eE/*\\\\$\\n \u{feff}é-]{0,60}") {
        if let Err(problems) = parse_str(&text) {
            for problem in problems {
                proptest::prop_assert!(problem.line >= 1 && problem.column >= 1);
                proptest::prop_assert!(!problem.render(&text).is_empty());
            }
        }
    }

    #[test]
    fn json_is_json5(numbers in proptest::collection::vec(proptest::num::i64::ANY, 0..5), words in proptest::collection::vec(".{0,12}", 0..5)) {
        let value = json!({"numbers": numbers, "words": words});
        proptest::prop_assert_eq!(parse_str(&value.to_string()), Ok(value));
    }

    #[test]
    fn paths_survive_being_written(keys in proptest::collection::vec(".{0,8}", 1..5), index in 0_usize..100) {
        let path = keys.iter().fold(instar_config::KeyPath::default(), |path, key| path.key(key)).index(index);
        proptest::prop_assert_eq!(instar_config::KeyPath::parse(&path.to_string()), Ok(path));
    }
}

#[test]
fn what_no_single_value_shows_is_placed_where_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let text = "{\n  gateway: {\n    port: 1,\n    bind: 'lan',\n  },\n}\n";
    let file = write(&folder.path().join("instar.json"), text);
    let rules = |_: &Sample| {
        vec![
            ("gateway.bind".to_owned(), "not with this port".to_owned()),
            ("gateway.auth.token".to_owned(), "is missing".to_owned()),
        ]
    };
    let Err(ConfigError::Invalid(problems)) = load_with(&file, &no_env, rules) else {
        panic!("the rules were not asked");
    };
    let places: Vec<_> = problems
        .iter()
        .map(|one| {
            (
                one.line,
                one.column,
                one.path.as_str(),
                one.message.as_str(),
            )
        })
        .collect();
    // What is missing is placed at the nearest that is there.
    assert_eq!(
        places,
        [
            (4, 11, "gateway.bind", "not with this port"),
            (2, 12, "gateway.auth.token", "is missing"),
        ]
    );
    assert!(load_with(&file, &no_env, |_: &Sample| Vec::new()).is_ok());
}

#[test]
fn keys_that_cannot_change_yet_keep_their_value() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("instar.json");
    let read = |text: &str| load::<Sample>(&write(&at, text), &no_env).unwrap();
    let old = read("{$schema: 'x', gateway: {port: 1000}}");
    let new = || read("{$schema: 'x', gateway: {port: 2000, bind: 'lan'}}");
    let paths = ["gateway.port", "gateway.bind"].map(str::to_owned);
    let kept = new().keeping(&old.document, &paths[..1]).unwrap();
    assert_eq!(
        kept.document,
        json!({"$schema": "x", "gateway": {"port": 1000, "bind": "lan"}})
    );
    assert_eq!(kept.hash, new().hash, "the files were read whole");
    let kept = new().keeping(&old.document, &paths).unwrap();
    assert_eq!(kept.document, old.document);
    assert_eq!(
        new().keeping(&old.document, &[]).unwrap().document,
        new().document
    );
    assert!(new().keeping(&old.document, &["a[".to_owned()]).is_none());
    let bare = read("{}");
    let kept = read("{gateway: {port: 2000}}").keeping(&bare.document, &paths[..1]);
    assert_eq!(kept.unwrap().document, json!({}), "no empty shell is left");
}
