//! The file tools over files in memory.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use instar_protocol::{Label, Readers};
use instar_tools::files::{self, Change, FileError, FileRead, FilesPort, Item, Kind, Listed};
use instar_tools::{Caller, Output, Tool};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::fixture::caller;

type Contents = BTreeMap<String, (Vec<u8>, Label)>;

#[derive(Debug, Default)]
struct Memory(Mutex<Contents>);

impl Memory {
    fn put(&self, path: &str, text: &[u8], label: Label) {
        let mut files = self.0.lock().unwrap();
        let _old = files.insert(path.to_owned(), (text.to_vec(), label));
    }

    fn text(&self, path: &str) -> Option<String> {
        let files = self.0.lock().unwrap();
        let (bytes, _) = files.get(path)?;
        Some(String::from_utf8(bytes.clone()).unwrap())
    }

    fn label(&self, path: &str) -> Label {
        self.0.lock().unwrap()[path].1.clone()
    }
}

impl FilesPort for Memory {
    fn read<'a>(
        &'a self,
        _caller: &'a Caller,
        path: &'a str,
    ) -> BoxFuture<'a, Result<FileRead, FileError>> {
        let files = self.0.lock().unwrap();
        let found = files.get(path).map(|(bytes, label)| FileRead {
            bytes: bytes.clone(),
            label: label.clone(),
        });
        let found = found.ok_or_else(|| FileError::Missing(path.to_owned()));
        async move { found }.boxed()
    }

    fn list<'a>(
        &'a self,
        caller: &'a Caller,
        path: &'a str,
    ) -> BoxFuture<'a, Result<Listed, FileError>> {
        self.walk(caller, path)
    }

    fn walk<'a>(
        &'a self,
        _caller: &'a Caller,
        path: &'a str,
    ) -> BoxFuture<'a, Result<Listed, FileError>> {
        let files = self.0.lock().unwrap();
        let below = files.iter().filter(|(name, _)| name.starts_with(path));
        let items = below.map(|(name, (bytes, _))| Item {
            path: name.clone(),
            kind: Kind::File,
            bytes: bytes.len() as u64,
        });
        let listed = Listed {
            items: items.collect(),
            cut: false,
            label: Label::owner(),
        };
        async move { Ok(listed) }.boxed()
    }

    fn change<'a>(
        &'a self,
        _caller: &'a Caller,
        changes: Vec<Change>,
    ) -> BoxFuture<'a, Result<(), FileError>> {
        let mut files = self.0.lock().unwrap();
        for change in changes {
            let now = files.get(&change.path).map(|(bytes, _)| bytes.clone());
            assert_eq!(now, change.before, "{}", change.path);
            let _old = match change.after {
                Some(after) => files.insert(change.path, (after, change.label)),
                None => files.remove(&change.path),
            };
        }
        async { Ok(()) }.boxed()
    }
}

struct House {
    files: Arc<Memory>,
    tools: Vec<Arc<dyn Tool>>,
    caller: Caller,
}

impl House {
    fn new() -> Self {
        let files = Arc::new(Memory::default());
        let port: Arc<dyn FilesPort> = files.clone();
        Self {
            files,
            tools: files::tools(&port),
            caller: caller(),
        }
    }

    async fn run(&self, name: &str, arguments: Value) -> Result<Output, String> {
        let tool = self.tools.iter().find(|tool| tool.spec().name == name);
        let ran = tool.unwrap().run(&arguments, &self.caller).await;
        ran.map_err(|error| error.to_string())
    }
}

fn stranger() -> Label {
    Label::stranger(Readers::Private)
}

#[tokio::test]
async fn what_is_written_is_labelled_by_what_the_model_had_read() {
    let mut house = House::new();
    let arguments = json!({"path": "notes/a.md", "content": "one\ntwo\n"});
    let told = house.run("write", arguments).await.unwrap();
    assert!(
        told.text.contains("notes/a.md is new, 8 bytes"),
        "{}",
        told.text
    );
    assert!(!house.files.label("notes/a.md").is_tainted());

    house.caller.context = Label::owner().join(&stranger());
    let edit = json!({"path": "notes/a.md", "oldText": "two", "newText": "three"});
    assert_eq!(
        house.run("edit", edit).await.unwrap().text,
        "notes/a.md: replaced"
    );
    assert_eq!(house.files.text("notes/a.md").unwrap(), "one\nthree\n");
    assert!(house.files.label("notes/a.md").is_tainted());
    let read = house
        .run("read", json!({"path": "notes/a.md"}))
        .await
        .unwrap();
    assert_eq!(read.text, "one\nthree\n");
    assert!(read.label.is_tainted());
}

#[tokio::test]
async fn an_edit_never_washes_a_label() {
    let house = House::new();
    house.files.put("mail.txt", b"buy now", stranger());
    let edit = json!({"path": "mail.txt", "oldText": "now", "newText": "later"});
    let _told = house.run("edit", edit).await.unwrap();
    assert!(house.files.label("mail.txt").is_tainted());
    let patch = "*** Begin Patch\n*** Update File: mail.txt\n*** Move to: own.txt\n@@\n-buy later\n+buy\n*** End Patch";
    let told = house
        .run("apply_patch", json!({"input": patch}))
        .await
        .unwrap();
    assert_eq!(told.text, "mail.txt: moved to own.txt");
    assert!(house.files.label("own.txt").is_tainted());
    assert_eq!(house.files.text("mail.txt"), None);
    assert_eq!(house.files.text("own.txt").unwrap(), "buy");
}

#[tokio::test]
async fn what_shapes_the_agent_is_not_written_by_any_tool() {
    let house = House::new();
    for path in [
        "AGENTS.md",
        "agents.md",
        "skills/x.md",
        "policy/a.cedar",
        ".git/hooks/a",
    ] {
        house.files.put(path, b"old", Label::owner());
        let update =
            format!("*** Begin Patch\n*** Update File: {path}\n@@\n-old\n+new\n*** End Patch");
        let moved = format!(
            "*** Begin Patch\n*** Add File: x\n+x\n*** Update File: x\n*** Move to: {path}\n*** End Patch"
        );
        let delete = format!("*** Begin Patch\n*** Delete File: {path}\n*** End Patch");
        for (name, arguments) in [
            ("write", json!({"path": path, "content": "new"})),
            (
                "write",
                json!({"path": format!("./{path}"), "content": "new"}),
            ),
            (
                "edit",
                json!({"path": path, "oldText": "old", "newText": "new"}),
            ),
            ("apply_patch", json!({"input": update})),
            ("apply_patch", json!({"input": moved})),
            ("apply_patch", json!({"input": delete})),
        ] {
            let why = house.run(name, arguments).await.unwrap_err();
            assert!(why.contains("changed by the owner alone"), "{name}: {why}");
        }
        assert_eq!(house.files.text(path).unwrap(), "old");
    }
}

#[tokio::test]
async fn names_that_lead_outside_are_refused_by_every_tool() {
    let house = House::new();
    for path in [
        "../x",
        "/etc/passwd",
        "~/x",
        "a/../../x",
        "file:///etc/passwd",
        "a\0b",
    ] {
        let patch = format!("*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch");
        for (name, arguments) in [
            ("read", json!({"path": path})),
            ("ls", json!({"path": path})),
            ("glob", json!({"pattern": "*", "path": path})),
            ("grep", json!({"pattern": "x", "path": path})),
            ("write", json!({"path": path, "content": "x"})),
            (
                "edit",
                json!({"path": path, "oldText": "x", "newText": "y"}),
            ),
            ("apply_patch", json!({"input": patch})),
        ] {
            let why = house.run(name, arguments).await.unwrap_err();
            assert!(
                why.contains("no path inside the workspace"),
                "{name} {path:?}: {why}"
            );
        }
    }
}

#[tokio::test]
async fn a_patch_is_all_or_nothing() {
    let house = House::new();
    house.files.put("a.txt", b"one\n", Label::owner());
    let patch = "*** Begin Patch\n*** Update File: a.txt\n@@\n-one\n+1\n*** Update File: b.txt\n@@\n-x\n+y\n*** End Patch";
    let why = house
        .run("apply_patch", json!({"input": patch}))
        .await
        .unwrap_err();
    assert!(why.contains("no b.txt"), "{why}");
    assert_eq!(house.files.text("a.txt").unwrap(), "one\n");
    let patch = "*** Begin Patch\n*** Update File: a.txt\n@@\n-one\n+1\n*** Add File: b.txt\n+y\n*** Delete File: a.txt\n*** End Patch";
    let told = house
        .run("apply_patch", json!({"input": patch}))
        .await
        .unwrap();
    assert_eq!(told.text, "a.txt: changed\nb.txt: added\na.txt: deleted");
    assert_eq!(house.files.text("a.txt"), None);
    assert_eq!(house.files.text("b.txt").unwrap(), "y\n");
}

#[tokio::test]
async fn a_search_shows_lines_and_takes_the_label_of_what_it_shows() {
    let house = House::new();
    house
        .files
        .put("a.md", b"alpha\nbeta\ngamma\n", Label::owner());
    house.files.put("b.txt", b"beta from outside", stranger());
    house.files.put("c.bin", b"beta\0", Label::owner());
    let own = json!({"pattern": "^be", "glob": "**/*.md", "context": 1});
    let found = house.run("grep", own).await.unwrap();
    assert_eq!(found.text, "a.md-1- alpha\na.md:2: beta\na.md-3- gamma");
    assert!(!found.label.is_tainted());
    let all = house
        .run("grep", json!({"pattern": "BETA", "ignoreCase": true}))
        .await
        .unwrap();
    assert_eq!(all.text, "a.md:2: beta\nb.txt:1: beta from outside");
    assert!(all.label.is_tainted());
    assert_eq!(all.value.unwrap()["matches"], 2);
    let none = house
        .run("grep", json!({"pattern": "a+b(", "literal": true}))
        .await
        .unwrap();
    assert_eq!(none.text, "[nothing fits]");
    let why = house
        .run("grep", json!({"pattern": "a+b("}))
        .await
        .unwrap_err();
    assert!(why.contains("set literal"), "{why}");
}

#[tokio::test]
async fn hostile_patterns_take_no_more_time_than_others() {
    let house = House::new();
    house
        .files
        .put("a.txt", "a".repeat(200_000).as_bytes(), Label::owner());
    for pattern in ["(a*)*b", "(a|a)*b", "(a+)+$x", "a{1,50}{1,20}b"] {
        // What cannot be compiled small is refused; the rest runs in one pass.
        let _either = house.run("grep", json!({"pattern": pattern})).await;
    }
    let why = house
        .run("grep", json!({"pattern": "(a{1,1000}){1,1000}"}))
        .await
        .unwrap_err();
    assert!(why.contains("no regular expression"), "{why}");
    let stars = "*a".repeat(100);
    let _either = house.run("glob", json!({"pattern": stars})).await;
}

#[tokio::test]
async fn every_file_tool_says_what_its_arguments_mean() {
    for tool in House::new().tools {
        let (spec, annotation) = (tool.spec(), tool.annotation());
        let fields = spec.parameters["properties"].as_object().unwrap();
        for slot in annotation
            .slots
            .keys()
            .filter(|slot| spec.name == "read" || *slot == "path")
        {
            assert!(fields.contains_key(slot), "{} has no {slot}", spec.name);
        }
        assert_eq!(
            annotation.undoable,
            annotation.effect.leaves_traces(),
            "{}",
            spec.name
        );
        assert_eq!(annotation.connector, "files");
    }
}
