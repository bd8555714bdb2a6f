//! The file as a whole: hidden texts, replacing, patching.

use instar_config::{
    Author, ConfigError, HIDDEN, KeyPath, Sheet, StateDir, Writing, patch, place, preview, put_key,
    replace, sheet, without_secrets,
};
use serde_json::{Value, json};

use crate::support::{Sample, no_env, state_with};

const TEXT: &str = "// mine\n{\n  gateway: { port: 9000, /* why */ publicOrigin: 'https://a.example' },\n  agents: { entries: { a: { name: 'A' }, b: { name: 'B' } } },\n}\n";

struct Fixture {
    _folder: tempfile::TempDir,
    state: StateDir,
}

impl Fixture {
    fn new(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let state = state_with(folder.path(), text);
        Self {
            _folder: folder,
            state,
        }
    }

    /// What is shown; the public origin plays a secret.
    fn sheet(&self) -> Sheet {
        sheet(&self.state, &|path| {
            path.to_string() == "gateway.publicOrigin"
        })
        .unwrap()
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.state.config_file()).unwrap()
    }

    fn replace(&self, text: &str, seen: Option<&str>) -> Result<Vec<String>, ConfigError> {
        self.write(seen, |writing| {
            replace::<Sample>(&self.state, text, writing)
        })
    }

    fn patch(&self, change: &Value, whole: &[KeyPath]) -> Result<Vec<String>, ConfigError> {
        self.write(None, |writing| {
            patch::<Sample>(&self.state, change, whole, writing)
        })
    }

    fn write<R>(&self, seen: Option<&str>, work: impl Fn(&Writing<'_, Sample>) -> R) -> R {
        let author = Author {
            who: "test".to_owned(),
            pid: 7,
        };
        work(&Writing {
            author: &author,
            env: &no_env,
            rules: &|_| Vec::new(),
            seen,
        })
    }
}

#[test]
fn a_hidden_text_is_not_shown_and_stays_when_it_is_written_back() {
    let fixture = Fixture::new(TEXT);
    let shown = fixture.sheet();
    let text = shown.text.unwrap();
    assert!(
        !text.contains("a.example") && text.contains(HIDDEN),
        "{text}"
    );
    assert!(
        text.contains("// mine") && text.contains("/* why */"),
        "{text}"
    );
    assert_eq!(shown.document.unwrap()["gateway"]["publicOrigin"], HIDDEN);

    let changed = fixture.replace(&text.replace("9000", "9001"), Some(&shown.digest));
    assert_eq!(changed.unwrap(), ["gateway.port"]);
    assert!(fixture.text().contains("a.example"), "{}", fixture.text());
    assert!(!fixture.text().contains(HIDDEN), "{}", fixture.text());

    let invented = format!("{{ gateway: {{ bind: '{HIDDEN}' }} }}");
    assert!(matches!(
        fixture.replace(&invented, None),
        Err(ConfigError::Uneditable { .. })
    ));
}

#[test]
fn a_writer_who_has_not_seen_the_file_as_it_is_writes_nothing() {
    let fixture = Fixture::new(TEXT);
    let old = fixture.sheet().digest;
    fixture
        .patch(&json!({ "gateway": { "port": 1 } }), &[])
        .unwrap();
    let refused = fixture.replace("{}", Some(&old));
    assert!(
        matches!(refused, Err(ConfigError::Changed { .. })),
        "{refused:?}"
    );
    assert!(fixture.text().contains("port: 1"), "{}", fixture.text());
}

#[test]
fn a_patch_merges_removes_and_keeps_the_rest_as_it_was() {
    let fixture = Fixture::new(TEXT);
    let change = json!({
        "gateway": { "port": 9002, "bind": "lan", "auth": null },
        "agents": { "entries": { "a": null, "b": { "name": "Bee" }, "c": { "name": "C" } } },
    });
    let changed = fixture.patch(&change, &[]).unwrap();
    assert!(changed.contains(&"gateway.port".to_owned()), "{changed:?}");
    let text = fixture.text();
    for kept in [
        "// mine",
        "/* why */",
        "https://a.example",
        "port: 9002",
        "Bee",
    ] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    assert!(!text.contains("'A'"), "{text}");

    let whole = [KeyPath::parse("agents.entries").unwrap()];
    fixture
        .patch(&json!({ "agents": { "entries": { "d": {} } } }), &whole)
        .unwrap();
    assert!(!fixture.text().contains("Bee"), "{}", fixture.text());
}

#[test]
fn what_would_break_the_file_is_refused_whole() {
    let fixture = Fixture::new(TEXT);
    for broken in ["{ gateway: { port: 'no' } }", "{ nothing: 1 }", "{", "[]"] {
        assert!(fixture.replace(broken, None).is_err(), "{broken}");
    }
    let half = json!({ "gateway": { "port": 5, "bind": "nowhere" } });
    assert!(fixture.patch(&half, &[]).is_err());
    assert_eq!(fixture.text(), TEXT);
}

#[test]
fn a_place_of_the_schema_names_what_may_stand_below() {
    let below = |path: &str| place::<Sample>(&KeyPath::parse(path).unwrap());
    let gateway = below("gateway").unwrap();
    let port = gateway
        .children
        .iter()
        .find(|child| child.key == "port")
        .unwrap();
    assert_eq!(
        (port.types.as_slice(), port.has_children),
        (&["integer".to_owned()][..], false)
    );
    let entries = below("agents.entries").unwrap();
    assert_eq!(entries.children[0].key, "*");
    assert!(entries.children[0].has_children);
    assert!(below("agents.entries.anything.name").is_some());
    assert!(below("gateway.nothing").is_none());
}

#[test]
fn a_preview_shows_the_change_without_secrets_and_writes_nothing() {
    let fixture = Fixture::new(TEXT);
    let path = KeyPath::parse("gateway.port").unwrap();
    let value = json!(9100);
    let secret = |path: &KeyPath| path.to_string() == "gateway.publicOrigin";
    let shown = preview::<Sample>(
        &fixture.state,
        &path,
        Some(&value),
        (&no_env, &|_| Vec::new()),
        &secret,
    )
    .unwrap();
    assert_eq!(shown.changed, ["gateway.port"]);
    assert!(
        shown.before.contains("9000") && !shown.before.contains("9100"),
        "{shown:?}"
    );
    assert!(
        shown.after.contains("9100") && shown.after.contains("/* why */"),
        "{shown:?}"
    );
    for text in [&shown.before, &shown.after] {
        assert!(
            text.contains(HIDDEN) && !text.contains("a.example"),
            "{text}"
        );
    }
    assert_eq!(fixture.text(), TEXT);

    let broken = preview::<Sample>(
        &fixture.state,
        &path,
        Some(&json!("no")),
        (&no_env, &|_| Vec::new()),
        &secret,
    );
    assert!(matches!(broken, Err(ConfigError::Invalid(_))), "{broken:?}");

    let put = |value: Option<&Value>, seen: &str| {
        fixture.write(Some(seen), |writing| {
            put_key::<Sample>(&fixture.state, &path, value, writing)
        })
    };
    assert_eq!(put(Some(&value), &shown.digest).unwrap(), shown.changed);
    assert!(fixture.text().contains("9100"));
    let late = put(None, &shown.digest);
    assert!(matches!(late, Err(ConfigError::Changed { .. })), "{late:?}");
}

#[test]
fn a_section_is_put_back_with_its_hidden_text_as_it_was() {
    let fixture = Fixture::new(TEXT);
    let secret = |path: &KeyPath| path.to_string() == "agents.entries.a.name";
    let document = fixture.sheet().document.unwrap();
    let mut shown = without_secrets(&document, &secret)["agents"]["entries"].clone();
    assert_eq!(shown["a"]["name"], HIDDEN);
    shown["b"]["name"] = json!("Bee");
    let path = KeyPath::parse("agents.entries").unwrap();
    fixture
        .write(None, |writing| {
            put_key::<Sample>(&fixture.state, &path, Some(&shown), writing)
        })
        .unwrap();
    let text = fixture.text();
    assert!(text.contains("Bee") && !text.contains(HIDDEN), "{text}");
    let after = fixture.sheet().document.unwrap();
    assert_eq!(after["agents"]["entries"]["a"]["name"], "A");
}
