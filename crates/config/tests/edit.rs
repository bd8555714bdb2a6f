//! Changing keys, backups, the journal and the watch.

use instar_config::journal::{self, Anomaly};
use instar_config::{
    Author, ConfigError, Watch, diff, get, parse_value, set, set_text, set_text_with, set_with,
    unset, unset_with,
};
use serde_json::{Value, json};

use crate::support::{Sample, mode, no_env, state_with};

fn author() -> Author {
    Author {
        who: "test".to_owned(),
        pid: 7,
    }
}

/// Sets one key in a text and gives back the text, or the error.
fn edited(text: &str, path: &str, value: &Value) -> Result<String, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let state = state_with(folder.path(), text);
    set::<Sample>(&state, path, value, &author(), &no_env)?;
    Ok(std::fs::read_to_string(state.config_file()).unwrap())
}

const COMMENTED: &str = "// mine\n{\n  // how to reach it\n  gateway: {\n    port: 0x1F90, // not the usual one\n    'bind': 'lan',\n  },\n  /* agents */\n  agents: { entries: { 'my.agent': { name: 'A' } } },\n}\n";

#[test]
fn set_keeps_comments_and_order() {
    insta::assert_snapshot!(edited(COMMENTED, "gateway.port", &json!(9000)).unwrap(), @"
    // mine
    {
      // how to reach it
      gateway: {
        port: 9000, // not the usual one
        'bind': 'lan',
      },
      /* agents */
      agents: { entries: { 'my.agent': { name: 'A' } } },
    }
    ");
    insta::assert_snapshot!(edited(COMMENTED, "gateway.auth.token", &json!({"source": "env", "id": "T"})).unwrap(), @r#"
    // mine
    {
      // how to reach it
      gateway: {
        port: 0x1F90, // not the usual one
        'bind': 'lan',
        "auth": {
          "token": {
            "source": "env",
            "id": "T",
          },
        },
      },
      /* agents */
      agents: { entries: { 'my.agent': { name: 'A' } } },
    }
    "#);
    insta::assert_snapshot!(edited(COMMENTED, "agents.entries[\"my.agent\"].name", &json!("B \"q\"\n")).unwrap(), @r#"
    // mine
    {
      // how to reach it
      gateway: {
        port: 0x1F90, // not the usual one
        'bind': 'lan',
      },
      /* agents */
      agents: { entries: { 'my.agent': { name: "B \"q\"\n" } } },
    }
    "#);
    insta::assert_snapshot!(edited("", "gateway.trustedProxies[0]", &json!("10.0.0.1")).unwrap(), @r#"
    {
      "gateway": {
        "trustedProxies": ["10.0.0.1"]
      }
    }
    "#);
}

#[test]
fn a_value_with_a_comment_inside_is_not_overwritten() {
    let text = "{gateway: {trustedProxies: ['a', /* why */ 'b']}}";
    let error = edited(text, "gateway.trustedProxies", &json!(["c"])).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a comment stands inside the value"),
        "{error}"
    );
    let one = edited(text, "gateway.trustedProxies[0]", &json!("c")).unwrap();
    assert!(one.contains("/* why */ 'b'"), "{one}");
}

#[test]
fn a_value_that_does_not_fit_is_not_written() {
    let said = |text: &str, path: &str, value: &Value| match edited(text, path, value) {
        Err(ConfigError::Invalid(problems)) => {
            let told = |p: &instar_config::Problem| {
                let more = [&p.expected, &p.hint].map(|part| part.clone().unwrap_or_default());
                format!("{}: {}; {}", p.path, p.message, more.join("; "))
            };
            problems.iter().map(told).collect::<Vec<_>>().join("\n")
        }
        Err(ConfigError::Uneditable { reason, .. }) => reason,
        other => format!("{other:?}"),
    };
    insta::assert_snapshot!(said("{}", "gateway.port", &json!(0)), @"gateway.port: 0 is out of range; a whole number from 1 to 65535;");
    insta::assert_snapshot!(said("{}", "gateway.prot", &json!(1)), @r#"gateway.prot: unknown key "prot"; ; did you mean "port"?"#);
    insta::assert_snapshot!(said("{}", "gateway.auth.token", &json!("hunter2")), @r#"gateway.auth.token: found text; a reference to a secret; secrets never sit in the configuration: run `instar secrets set gateway-auth-token` and use {source: "store", id: "gateway-auth-token"}"#);
    insta::assert_snapshot!(said("{agents: {defaults: {model: 'x'}}}", "agents.defaults.model.primary", &json!("y")), @"agents.defaults.model holds a plain value that nothing can stand below: unset it first");
    insta::assert_snapshot!(said("{gateway: ", "gateway.port", &json!(1)), @": a value is missing after the ':'; ;");
}

#[test]
fn a_broken_file_is_mended_key_by_key() {
    let text = "{gateway: {port: 0, bind: 'nowhere'}}";
    let mended = edited(text, "gateway.port", &json!(80)).unwrap();
    assert_eq!(mended, "{gateway: {port: 80, bind: 'nowhere'}}");
    assert!(edited(text, "gateway.port", &json!("x")).is_err());
}

#[test]
fn unset_takes_the_key_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_with(folder.path(), COMMENTED);
    let changed = unset::<Sample>(&state, "gateway.port", &author(), &no_env).unwrap();
    assert_eq!(changed, ["gateway.port"]);
    let text = std::fs::read_to_string(state.config_file()).unwrap();
    assert!(!text.contains("0x1F90") && text.contains("'bind': 'lan'") && text.contains("// mine"));
    let again = unset::<Sample>(&state, "gateway.port", &author(), &no_env);
    assert!(matches!(again, Err(ConfigError::UnknownKey { .. })));
}

#[test]
fn get_tells_values_and_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_with(folder.path(), COMMENTED);
    let get = |path| get::<Sample>(&state, path, &no_env);
    assert_eq!(get("gateway.port").unwrap(), Some(json!(8080)));
    assert_eq!(
        get("agents.defaults.bootstrapMaxChars").unwrap(),
        Some(json!(20_000))
    );
    assert_eq!(get("gateway.publicOrigin").unwrap(), None);
    assert_eq!(
        get("agents.entries[\"my.agent\"].name").unwrap(),
        Some(json!("A"))
    );
    match get("gateway.prt") {
        Err(ConfigError::UnknownKey { hint, .. }) => {
            assert_eq!(hint.unwrap(), "did you mean gateway.port?");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn typed_values_are_read_as_people_mean_them() {
    let read = |path: &str, text: &str| parse_value::<Sample>(path, text).unwrap();
    assert_eq!(read("gateway.port", "0x10"), json!(16));
    assert_eq!(read("gateway.bind", "lan"), json!("lan"));
    assert_eq!(
        read("gateway.publicOrigin", "https://x.example/a"),
        json!("https://x.example/a")
    );
    assert_eq!(read("gateway.publicOrigin", "007"), json!("007"));
    assert_eq!(read("gateway.publicOrigin", "'quoted'"), json!("quoted"));
    assert_eq!(read("gateway.trustedProxies", "['a',]"), json!(["a"]));
    assert_eq!(
        read("agents.defaults.model", "{primary: 'x'}"),
        json!({"primary": "x"})
    );
    assert_eq!(
        read("agents.defaults.model", "demo/demo"),
        json!("demo/demo")
    );
    assert!(parse_value::<Sample>("gateway.port", "many").is_err());
    assert!(parse_value::<Sample>("gateway.nonsense", "1").is_err());
}

#[test]
fn five_backups_rotate() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_with(folder.path(), "{gateway: {port: 1}}");
    for port in 2..=8 {
        set::<Sample>(&state, "gateway.port", &json!(port), &author(), &no_env).unwrap();
    }
    for generation in 1..=5 {
        let backup = state.root().join(format!("instar.json.bak.{generation}"));
        let text = std::fs::read_to_string(&backup).unwrap();
        assert_eq!(text, format!("{{gateway: {{port: {}}}}}", 8 - generation));
        assert_eq!(mode(&backup), 0o600);
    }
    assert!(!state.root().join("instar.json.bak.6").exists());
    // Setting what is set already writes nothing.
    let changed = set::<Sample>(&state, "gateway.port", &json!(8), &author(), &no_env).unwrap();
    assert!(changed.is_empty());
    assert_eq!(journal::read(&state, 100).unwrap().len(), 7);
}

#[test]
fn the_journal_tells_who_and_what_but_no_values() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_with(folder.path(), "{gateway: {port: 1}}");
    set::<Sample>(
        &state,
        "gateway.publicOrigin",
        &json!("https://canary.example"),
        &author(),
        &no_env,
    )
    .unwrap();
    let first = journal::read(&state, 10).unwrap().pop().unwrap();
    assert_eq!((first.who.as_str(), first.pid), ("test", 7));
    assert_eq!(first.changed, ["gateway.publicOrigin"]);
    assert_eq!(first.anomalies, []);
    assert_ne!(first.before, first.after);

    // Our own write is not taken for somebody else's.
    let old = json!({"gateway": {"port": 1, "publicOrigin": "https://canary.example"}});
    assert_eq!(
        journal::note_external(&state, &old, Some(&old)).unwrap(),
        None
    );
    std::fs::write(state.config_file(), "{}").unwrap();
    let noted = journal::note_external(&state, &old, Some(&json!({})))
        .unwrap()
        .unwrap();
    assert_eq!(noted.changed, ["gateway.port", "gateway.publicOrigin"]);
    assert_eq!(noted.before, first.after);
    assert_eq!(
        noted.anomalies,
        [
            Anomaly::WrittenOutside,
            Anomaly::Shrunken,
            Anomaly::Emptied,
            Anomaly::KeysRemoved
        ]
    );

    std::fs::write(state.config_file(), "{gateway: {port: 5}}").unwrap();
    unset::<Sample>(&state, "gateway.port", &author(), &no_env).unwrap();
    let last = journal::read(&state, 1).unwrap().pop().unwrap();
    assert_eq!(
        last.anomalies,
        [Anomaly::WrittenOutside, Anomaly::KeysRemoved]
    );
    let file = state.root().join("config-journal.jsonl");
    assert!(!std::fs::read_to_string(&file).unwrap().contains("canary"));
    assert_eq!(mode(&file), 0o600);
}

#[test]
fn writers_at_the_same_time_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_with(folder.path(), "{}");
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let state = &state;
            scope.spawn(move || {
                let path = format!("agents.entries.a{writer}.name");
                set::<Sample>(state, &path, &json!("x"), &author(), &no_env).unwrap();
            });
        }
    });
    let loaded = instar_config::load::<Sample>(state.config_file(), &no_env).unwrap();
    assert_eq!(loaded.value.agents.entries.len(), 8);
}

#[test]
fn a_change_while_editing_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_with(folder.path(), "{gateway: {publicOrigin: '${X}'}}");
    let file = state.config_file().to_owned();
    // The environment is read in the middle of an edit: there an editor saves its file, each time anew.
    let count = std::cell::Cell::new(0);
    let env = |_: &str| {
        count.set(count.get() + 1);
        let text = format!(
            "{{gateway: {{publicOrigin: '${{X}}', port: {}}}}}",
            1000 + count.get()
        );
        std::fs::write(&file, text).unwrap();
        Some("https://x.example".to_owned())
    };
    let result = set::<Sample>(&state, "gateway.bind", &json!("lan"), &author(), &env);
    assert!(
        matches!(result, Err(ConfigError::Changed { .. })),
        "{result:?}"
    );
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .contains(&format!("port: {}", 1000 + count.get()))
    );
}

#[test]
fn a_linked_configuration_stays_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_with(folder.path(), "{}");
    let target = folder.path().join("elsewhere.json");
    std::fs::rename(state.config_file(), &target).unwrap();
    std::os::unix::fs::symlink(&target, state.config_file()).unwrap();
    set::<Sample>(&state, "gateway.port", &json!(80), &author(), &no_env).unwrap();
    assert!(
        std::fs::symlink_metadata(state.config_file())
            .unwrap()
            .is_symlink()
    );
    assert!(std::fs::read_to_string(&target).unwrap().contains("80"));
}

#[test]
fn the_watch_sees_every_kind_of_change() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    std::fs::write(&one, "a").unwrap();
    let mut watch = Watch::new(vec![one.clone(), two.clone()]);
    assert!(!watch.changed());
    std::fs::write(&two, "appeared").unwrap();
    assert!(watch.changed() && !watch.changed());
    std::fs::write(&one, "longer").unwrap();
    assert!(watch.changed() && !watch.changed());
    instar_config::write_atomically(&one, b"shorte").unwrap();
    assert!(watch.changed() && !watch.changed());
    std::fs::remove_file(&one).unwrap();
    assert!(watch.changed() && !watch.changed());
}

#[test]
fn what_is_written_while_files_are_taken_in_is_seen_by_the_next_look() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    std::fs::write(&one, "a").unwrap();
    let mut watch = Watch::new(vec![one.clone()]);
    std::fs::write(&one, "longer").unwrap();
    assert!(watch.changed());
    std::fs::write(&one, "meanwhile").unwrap();
    watch.follow(vec![one.clone(), two.clone()]);
    assert!(watch.changed() && !watch.changed());
    std::fs::write(&two, "appeared").unwrap();
    assert!(watch.changed());
    watch.follow(vec![two]);
    std::fs::write(&one, "nobody looks").unwrap();
    assert!(!watch.changed());
}

#[test]
fn differences_are_told_by_path() {
    let old = json!({"a": {"b": 1, "c": [1]}, "d": null, "e.f": 1, "g": {"h": 1}});
    let new = json!({"a": {"b": 2, "c": [1, 2]}, "e.f": 2, "i": {"j": {"k": 1}}, "l": null});
    let paths = ["a.b", "a.c", "d", "[\"e.f\"]", "g.h", "i.j.k", "l"];
    assert_eq!(diff(&old, &new), paths);
    assert!(diff(&new, &new).is_empty());
}

#[test]
fn a_variable_that_only_the_gateway_has_does_not_stop_an_edit() {
    let text = "{gateway: {publicOrigin: '${ORIGIN}'}}";
    let edited = edited(text, "gateway.port", &json!(80)).unwrap();
    assert!(edited.contains("'${ORIGIN}'") && edited.contains("80"));
}

#[test]
fn typed_text_is_set_in_one_go() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_with(folder.path(), "{}");
    let set = |path, text| set_text::<Sample>(&state, path, text, &author(), &no_env);
    assert_eq!(set("gateway.bind", "lan").unwrap(), ["gateway.bind"]);
    insta::assert_snapshot!(set("gateway.auth.token", "hunter2").unwrap_err().render(), @r#"
    error: gateway.auth.token: found text
      = expected: a reference to a secret
      = help: secrets never sit in the configuration: run `instar secrets set gateway-auth-token` and use {source: "store", id: "gateway-auth-token"}
    "#);
    insta::assert_snapshot!(set("gateway.port", "many").unwrap_err().render(), @"
    error: gateway.port: a word stands where a value belongs
      = expected: a whole number from 1 to 65535
    ");
    assert!(
        !std::fs::read_to_string(state.config_file())
            .unwrap()
            .contains("hunter2")
    );
}

/// Other machines may reach the gateway only with a name of its own.
fn rules(sample: &Sample) -> Vec<(String, String)> {
    let open = sample.gateway.bind != crate::support::Bind::Loopback;
    if open && sample.gateway.public_origin.is_none() {
        vec![(
            "gateway.bind".to_owned(),
            "needs gateway.publicOrigin".to_owned(),
        )]
    } else {
        Vec::new()
    }
}

#[test]
fn an_edit_must_not_break_a_rule_over_several_keys() {
    let folder = tempfile::tempdir().unwrap();
    let state = state_with(folder.path(), "{}");
    let set = |path, value: &Value| set_with(&state, path, value, &author(), &no_env, &rules);
    let error = set("gateway.bind", &json!("lan")).unwrap_err().render();
    assert!(error.contains("needs gateway.publicOrigin"), "{error}");
    assert_eq!(std::fs::read_to_string(state.config_file()).unwrap(), "{}");
    let typed = set_text_with(&state, "gateway.bind", "lan", &author(), &no_env, &rules);
    assert!(typed.is_err());
    set("gateway.publicOrigin", &json!("https://x.example")).unwrap();
    set("gateway.bind", &json!("lan")).unwrap();
    let unset = |path| unset_with(&state, path, &author(), &no_env, &rules);
    assert!(unset("gateway.publicOrigin").is_err());
    unset("gateway.bind").unwrap();
    unset("gateway.publicOrigin").unwrap();
}

#[test]
fn a_rule_that_was_broken_already_stops_no_edit() {
    for text in [
        "{gateway: {bind: 'lan'}}",
        // Here the rules cannot even be asked before the edit.
        "{gateway: {bind: 'lan', port: 'x'}}",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let state = state_with(folder.path(), text);
        let port = json!(80);
        set_with(&state, "gateway.port", &port, &author(), &no_env, &rules).unwrap();
        unset_with(&state, "gateway.port", &author(), &no_env, &rules).unwrap();
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(192))]

    #[test]
    fn an_edit_of_any_text_holds_what_was_asked_or_leaves_the_file(
        text in proptest::string::string_regex(
            "(\\{|\\}|:|,| |\n|// c\n|/\\* c \\*/|'gateway'|gateway|\"bind\"|port|'lan'|80|\\[|\\]|null|\u{feff}|.){0,14}",
        ).unwrap(),
        wrap in proptest::bool::ANY,
        path in "(gateway|agents)(\\.(port|bind|entries|defaults)){0,2}(\\.[a-z]{1,3}|\\[0\\]|\\[\"a.b\"\\]){0,2}",
        value in proptest::sample::select(vec![json!(80), json!("lan"), json!({}), json!({"a": []}), json!(null)]),
    ) {
        let text = if wrap { format!("{{{text}}}") } else { text };
        let folder = tempfile::tempdir().unwrap();
        let state = state_with(folder.path(), &text);
        let read = || std::fs::read_to_string(state.config_file()).unwrap();
        let check = |done: Result<Vec<String>, ConfigError>, wanted: Option<&Value>| {
            let after = read();
            match done {
                Ok(changed) if !changed.is_empty() => {
                    let written = instar_config::parse_str(&after).unwrap();
                    let place = instar_config::KeyPath::parse(&path).unwrap();
                    assert_eq!(place.find(&written), wanted, "{text:?} became {after:?}");
                }
                Ok(_) | Err(_) => assert_eq!(after, text),
            }
        };
        // Any value fits this type: it is the edit that is tried, not the schema.
        check(set::<Value>(&state, &path, &value, &author(), &no_env), Some(&value));
        if read() == text {
            check(unset::<Value>(&state, &path, &author(), &no_env), None);
        }
    }
}
