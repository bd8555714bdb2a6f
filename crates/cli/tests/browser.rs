//! The web pages in a real browser. Each test starts the real binary, hands its link to a script in
//! `browser/`, and asserts what the script saw.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use instar_demo::{Answer, Rule, Script, Step, When};
use serde_json::{Value, json};

use crate::support::{Instar, Running, Setup, skipped, until};

/// A picture in the documentation has to be smaller than this.
const PICTURE_BYTES_MAX: u64 = 200_000;
/// A page with text on it makes a bigger picture than this.
const PICTURE_BYTES_MIN: u64 = 15_000;

/// What the scripts need of the machine.
pub(crate) struct Browser {
    modules: PathBuf,
    chromium: PathBuf,
}

impl Browser {
    /// Says so if something is missing; the test then ends.
    pub(crate) fn find() -> Option<Self> {
        let modules = std::env::var_os("INSTAR_TEST_NODE_MODULES").map_or_else(
            || {
                let home = std::env::var_os("HOME").unwrap_or_default();
                Path::new(&home).join(".cache/instar/node/node_modules")
            },
            PathBuf::from,
        );
        let missing = |what: &str| {
            skipped(&format!(
                "{what} is not there; `cargo xtask test` installs it"
            ))
        };
        if on_path("node").is_none() {
            missing("node");
            return None;
        }
        let Some(chromium) = on_path("chromium") else {
            missing("chromium");
            return None;
        };
        for package in ["playwright-core", "axe-core"] {
            if !modules.join(package).join("package.json").exists() {
                missing(package);
                return None;
            }
        }
        Some(Self { modules, chromium })
    }

    /// Runs a script and gives what it printed.
    #[track_caller]
    pub(crate) fn run(&self, script: &str, origin: &str, link: &str, more: Value) -> Value {
        let folder = tempfile::tempdir().unwrap();
        let mut input = json!({
            "modules": self.modules, "chromium": self.chromium, "origin": origin, "link": link,
        });
        crate::support::merge(&mut input, more);
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser");
        let output = Command::new("node")
            .arg(scripts.join(script))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .env("INSTAR_BROWSER_INPUT", input.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {complained}");
        let line = said.lines().last().unwrap_or_default();
        let found: Result<Value, _> = serde_json::from_str(line);
        assert!(found.is_ok(), "{script} printed {said:?} and {complained}");
        found.unwrap()
    }
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.exists())
}

/// `instar up` on a machine that never saw it, with the link that it printed.
struct Fresh {
    _running: Running,
    // Holds the state folder.
    _instar: Instar,
    printed: String,
    link: String,
    origin: String,
}

impl Fresh {
    fn up() -> Self {
        let instar = Instar::prepare(Setup::default());
        std::fs::remove_dir_all(&instar.state).unwrap();
        let args = ["up", "--no-open", "--port", "0"].map(str::to_owned);
        let mut command = instar.command(&[], &args);
        command.env_remove("INSTAR_GATEWAY_TOKEN");
        let running = Running::spawn(command, instar.home(), "up");
        let printed = until("the link is printed", || {
            let printed = instar.printed();
            printed.contains("Ctrl-C").then_some(printed)
        });
        let link = printed
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap()
            .to_owned();
        let origin = link[..link.find("/sign-in").unwrap()].to_owned();
        Self {
            _running: running,
            _instar: instar,
            printed,
            link,
            origin,
        }
    }
}

/// A gateway whose pages are looked at, with the demo model unless the test says otherwise.
pub(crate) fn gateway() -> Instar {
    let model = json!({ "agents": { "defaults": { "model": { "primary": "demo/guide" } } } });
    Instar::start(Setup::default().config(model))
}

pub(crate) fn link(instar: &Instar) -> String {
    let code = instar
        .http
        .post("/api/v1/sign-in-codes", &json!({}))
        .expect(200);
    code["url"].as_str().unwrap().to_owned()
}

pub(crate) fn texts(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect()
}

#[test]
fn a_fresh_start_prints_a_link_and_the_chat_answers_behind_it() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let fresh = Fresh::up();
    if !fresh.printed.contains("demo/guide") {
        return skipped("a model server of this machine was found, so the demo model is not used");
    }
    let found = browser.run("first_minute.mjs", &fresh.origin, &fresh.link, json!({}));
    assert_eq!(found["empty"], true, "{found}");
    assert_eq!(found["address"], format!("{}/chat", fresh.origin));

    let lengths = found["lengths"].as_array().unwrap();
    assert!(lengths.len() > 2, "the answer came in one piece: {found}");
    assert_eq!(texts(&found["asked"]), ["hello"]);
    let answer = found["answer"].as_str().unwrap();
    assert!(answer.contains("not a language model"), "{answer}");
    assert!(
        texts(&found["strong"]).contains(&"Instar"),
        "Markdown was not rendered: {found}"
    );
    assert!(found["points"].as_u64().unwrap() >= 3, "{found}");
    assert_eq!(found["emptyAfter"], 0);
}

#[test]
fn a_sign_in_link_works_once_and_leaves_only_a_cookie_that_scripts_cannot_read() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let fresh = Fresh::up();
    let found = browser.run("first_minute.mjs", &fresh.origin, &fresh.link, json!({}));

    let [cookie] = found["cookies"].as_array().unwrap().as_slice() else {
        panic!("one cookie was expected: {found}");
    };
    assert_eq!(cookie["httpOnly"], true, "{cookie}");
    assert_eq!(cookie["sameSite"], "Strict", "{cookie}");
    assert_eq!(
        texts(&found["kept"]),
        ["{}", "{}", ""],
        "the page kept something"
    );
    let code = fresh.link.split('=').next_back().unwrap();
    assert!(!cookie["value"].as_str().unwrap().contains(code));

    assert_eq!(found["second"]["status"], 401, "{found}");
    assert!(
        found["second"]["words"].as_str().unwrap().contains("used"),
        "{found}"
    );
    assert_eq!(found["second"]["cookies"], 0);
}

#[test]
fn the_chat_shows_a_tool_call_and_a_refusal_with_its_rule() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let found = browser.run("tools.mjs", &instar.url(), &link(&instar), json!({}));
    let [used, refused] = found["cards"].as_array().unwrap().as_slice() else {
        panic!("two cards were expected: {found}");
    };
    assert_eq!(used["summary"], "Used sessions_list", "{found}");
    assert_eq!(used["denied"], false);
    assert_eq!(used["isOpen"], false);
    assert!(
        used["text"].as_str().unwrap().contains("agent:main:main"),
        "{found}"
    );
    assert_eq!(refused["summary"], "Refused: delete_everything", "{found}");
    assert_eq!(refused["denied"], true);
    assert_eq!(refused["isOpen"], true, "a refusal is seen without a click");
    assert!(
        refused["text"].as_str().unwrap().contains("Rule: "),
        "{found}"
    );
}

#[test]
fn the_stop_button_stops_a_long_answer_and_keeps_what_came() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let found = browser.run("stop.mjs", &instar.url(), &link(&instar), json!({}));
    assert_eq!(
        [
            &found["shownBefore"],
            &found["shownDuring"],
            &found["shownAfter"]
        ],
        [false, true, false],
    );
    assert!(
        found["meta"].as_str().unwrap().contains("stopped"),
        "{found}"
    );
    let text = found["text"].as_str().unwrap();
    assert!(text.starts_with("Here is a long answer"), "{text}");
    assert!(
        !text.contains("I am scripted, after all"),
        "it ran to its end"
    );
    assert!(
        found["next"].as_str().unwrap().contains("scripted guide"),
        "{found}"
    );
    let entries = instar.entries("main");
    assert!(
        entries
            .iter()
            .any(|entry| entry["body"]["stop"] == "aborted"
                && entry["body"]["text"]
                    .as_str()
                    .is_some_and(|stored| !stored.is_empty())),
        "{entries:?}"
    );
}

#[test]
fn every_window_follows_the_conversation_and_nothing_typed_is_lost_or_doubled() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let found = browser.run("windows.mjs", &instar.url(), &link(&instar), json!({}));
    assert_eq!(texts(&found["asked"]), ["hello"]);
    assert_eq!(found["same"], true, "the windows show different things");
    for meta in texts(&found["metas"]) {
        assert!(meta.contains("stopped"), "{found}");
    }
    assert_eq!(found["stopShown"], false);
    assert_eq!(
        texts(&found["typed"]),
        ["hello", "who are you?", "thanks"],
        "{found}"
    );
    assert_eq!(found["stored"], found["typed"]);
}

#[test]
fn without_javascript_the_link_signs_in_and_plain_forms_talk() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let more = json!({ "secondLink": link(&instar) });
    let found = browser.run("without_script.mjs", &instar.url(), &link(&instar), more);
    assert_eq!(texts(&found["asked"]), ["show me markdown"]);
    assert!(
        found["answer"]
            .as_str()
            .unwrap()
            .contains("What Markdown looks like"),
        "{found}"
    );
    assert_eq!(found["tables"], 1);
    assert!(
        found["hint"].as_str().unwrap().contains("loaded again"),
        "{found}"
    );
    assert_eq!(texts(&found["written"]), ["show me markdown", "hello"]);
    assert_eq!(found["answers"], 2);
    let fresh = found["fresh"].as_str().unwrap();
    assert!(fresh.starts_with("agent:main:chat-"), "{fresh}");
    assert_eq!(found["reloads"], 1, "the page follows the answer");
    let stopped = found["stopped"].as_str().unwrap();
    assert!(stopped.contains("stopped"), "{stopped}");
    let chosen = found["chosen"].as_str().unwrap();
    assert!(chosen.contains("model"), "{chosen}");
    assert_eq!(texts(&found["pressed"]), ["show me markdown", "hello"]);
    assert_eq!(found["signedOut"], "/sign-in", "{found}");
    assert_eq!(found["cookies"], 0);
}

#[test]
fn pages_load_nothing_from_elsewhere_and_keep_their_own_policy() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let found = browser.run("own_origin.mjs", &instar.url(), &link(&instar), json!({}));
    let requests = texts(&found["requests"]);
    assert!(requests.len() > 8, "{found}");
    let own = format!("{}/", instar.url());
    for request in requests {
        assert!(request.starts_with(&own), "{request} left the origin");
    }
    assert_eq!(found["sockets"], json!([]));
    assert_eq!(found["complaints"], json!([]));
    let policies = texts(&found["policies"]);
    assert!(policies.len() >= 4, "{found}");
    for policy in policies {
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{part} is missing in {policy:?}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}

/// Text that would run, load or post something if a page took it for markup.
pub(crate) const INJECTIONS: &[&str] = &[
    "<script>window.__pwned=1;alert(1)</script>",
    "<img src=x onerror=\"window.__pwned=1\">",
    "<svg/onload=window.__pwned=1>",
    "<details open ontoggle=window.__pwned=1>x</details>",
    "[press](javascript:window.__pwned=1)",
    "[press](JaVa\tScRiPt:window.__pwned=1)",
    "[press](&#106;avascript:window.__pwned=1)",
    "[press](data:text/html,<script>opener.__pwned=1</script>)",
    "<a href=\"javascript:window.__pwned=1\">press</a>",
    "[press](<http://a.example/\"onmouseover=\"window.__pwned=1>)",
    "![pixel](http://pixel.example/p.png)",
    "![pixel](x\"onerror=\"window.__pwned=1)",
    "```\"><script>window.__pwned=1</script>\nx\n```",
    "\"><script>window.__pwned=1</script>",
    "'-window.__pwned=1-'",
    "</textarea></title></style></script><script>window.__pwned=1</script>",
    "<iframe srcdoc=\"<script>parent.__pwned=1</script>\"></iframe>",
    "<style>@import 'http://pixel.example/s.css'; body{background:url(http://pixel.example/b)}</style>",
    "<meta http-equiv=refresh content=\"0;url=http://pixel.example/\">",
    "<base href=\"http://pixel.example/\"><form action=\"http://pixel.example/\"><button autofocus>x</button></form>",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=window.__pwned=1&gt;\">",
    "| a |\n|---|\n| <img src=x onerror=window.__pwned=1> |",
    "# <script>window.__pwned=1</script>\n> <svg onload=window.__pwned=1>",
    "{{constructor.constructor('window.__pwned=1')()}} ${window.__pwned=1}",
    "\u{202e}<script>window.__pwned=1</script>\u{0000}\u{feff}",
];

/// A model that says what it is told, and asks for tools with hostile names.
fn hostile() -> Script {
    let call = When {
        contains: vec!["call it".to_owned()],
        no_result: true,
        ..When::default()
    };
    let mut rules = vec![Rule {
        when: call,
        times: None,
        answer: Answer::call(
            "<img src=x onerror=window.__pwned=1>",
            json!({ "<svg onload=window.__pwned=1>": "</pre><script>window.__pwned=1</script>" }),
        ),
    }];
    // As they are, so that what makes a block of Markdown stands at the beginning of a line.
    for text in INJECTIONS.iter().filter(|text| !text.contains("{{")) {
        rules.push(Rule {
            when: When {
                contains: vec![(*text).to_owned()],
                ..When::default()
            },
            times: None,
            answer: Answer::text(*text),
        });
    }
    Script {
        rules,
        otherwise: Answer::of([Step::Text("{{text}}".to_owned())]),
        ..Script::default()
    }
}

#[test]
fn hostile_text_in_messages_answers_titles_tools_and_paths_runs_nothing() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = Instar::start(Setup::scripted(hostile()));
    let mut sessions = Vec::new();
    for (index, text) in INJECTIONS.iter().enumerate() {
        let session = format!("agent:main:hostile-{index}");
        let outcome = instar.ask(&session, text);
        assert_eq!(outcome["error"], Value::Null, "{outcome}");
        sessions.push(session);
    }
    let tools = "agent:main:hostile-tools";
    let _outcome = instar.ask(tools, "call it <script>window.__pwned=1</script>");
    assert!(
        instar
            .entries(tools)
            .iter()
            .any(|entry| entry["body"]["type"] == "tool_result"),
        "the hostile tool was asked for"
    );
    sessions.push(tools.to_owned());

    let more = json!({
        "sessions": sessions,
        "live": [INJECTIONS[0], INJECTIONS[1], "call it", INJECTIONS[4]],
        "paths": [
            "/%3Cscript%3Ewindow.__pwned=1%3C/script%3E",
            "/chat?session=%22%3E%3Cimg%20src=x%20onerror=window.__pwned=1%3E",
            "/chat?session=agent:main:%3Cscript%3Ewindow.__pwned=1%3C/script%3E",
            "/chat/entries?session=agent:main:hostile-0",
            "/sign-in?code=%22%3E%3Cscript%3Ewindow.__pwned=1%3C/script%3E",
        ],
    });
    let found = browser.run("injection.mjs", &instar.url(), &link(&instar), more);
    assert_eq!(found["pwned"], json!([]), "something ran");
    assert_eq!(found["dialogs"], json!([]), "a dialog opened");
    assert_eq!(
        found["elements"],
        json!([]),
        "markup of a message became an element"
    );
    assert_eq!(
        found["policyBreaks"],
        json!([]),
        "only the policy stood in the way"
    );
    for target in texts(&found["links"]) {
        let harmless = ["http://", "https://", "mailto:"];
        assert!(
            harmless.iter().any(|scheme| target.starts_with(scheme)),
            "{target}"
        );
    }
    let own = format!("{}/", instar.url());
    for request in texts(&found["requests"]) {
        assert!(request.starts_with(&own), "{request} left the origin");
    }
    let titles = texts(&found["titles"]).join("\n");
    assert!(titles.contains("window.__pwned=1;alert(1)"), "{titles}");
    assert!(titles.contains("\"onmouseover=\""), "{titles}");
    assert!(
        found["live"].as_str().unwrap().contains("<script>"),
        "text is shown as it was written"
    );
}

#[test]
fn pages_have_no_accessibility_fault_in_light_dark_wide_or_narrow() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let found = browser.run("accessible.mjs", &instar.url(), &link(&instar), json!({}));
    assert_eq!(found["checked"], 12, "{found}");
    assert_eq!(found["found"], json!([]));
}

#[test]
fn a_phone_scrolls_only_up_and_down_and_the_keyboard_alone_is_enough() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let found = browser.run(
        "phone_and_keys.mjs",
        &instar.url(),
        &link(&instar),
        json!({}),
    );
    assert_eq!(found["screen"], 390, "{found}");
    assert!(
        found["width"].as_u64().unwrap() <= 390,
        "the page scrolls sideways: {found}"
    );
    assert_eq!(
        found["log"][0], found["log"][1],
        "the conversation scrolls sideways"
    );
    assert!(found["sendRight"].as_f64().unwrap() <= 390.0, "{found}");
    assert!(
        found["sendHeight"].as_f64().unwrap() >= 44.0,
        "too small for a thumb: {found}"
    );
    assert!(
        found["phoneAnswer"].as_str().unwrap().contains("Hello"),
        "{found}"
    );

    assert_eq!(found["focusedAtFirst"], "say");
    assert_eq!(
        found["slash"],
        json!(["say", ""]),
        "the slash goes to the box and is not typed"
    );
    let order = texts(&found["order"]);
    assert_eq!(order.first(), Some(&"skip"), "{order:?}");
    assert_eq!(order[order.len() - 2..], ["say", "send"], "{order:?}");
    assert_eq!(found["back"], "say");
    assert_eq!(found["lines"], "one\ntwo", "Shift+Enter makes a line");
    assert!(
        found["stopped"].as_str().unwrap().contains("stopped"),
        "{found}"
    );
}

#[test]
fn no_parameter_makes_the_page_talk_to_another_address() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let elsewhere = listener.local_addr().unwrap().to_string();
    let more = json!({ "elsewhere": elsewhere });
    let found = browser.run("addresses.mjs", &instar.url(), &link(&instar), more);
    assert!(found["loaded"].as_u64().unwrap() > 50, "{found}");
    assert!(
        listener.accept().is_err(),
        "somebody connected to the address in a parameter"
    );
    let own = format!("{}/", instar.url());
    for request in texts(&found["requests"])
        .into_iter()
        .chain(texts(&found["sockets"]))
    {
        assert!(request.starts_with(&own), "{request} left the origin");
    }
}

#[test]
fn pictures_of_the_running_program_show_the_conversation() {
    let Some(browser) = Browser::find() else {
        return;
    };
    let instar = gateway();
    let more = json!({ "folder": pictures_folder(&instar) });
    let found = browser.run("pictures.mjs", &instar.url(), &link(&instar), more);
    are_pictures(&found);
}

/// Where pictures go: into the documentation, where that is asked for.
pub(crate) fn pictures_folder(instar: &Instar) -> PathBuf {
    let keep = std::env::var_os("INSTAR_PICTURES").is_some_and(|value| value == "1");
    let folder = if keep {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pictures")
    } else {
        instar.home().join("pictures")
    };
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Each of these files has a page with text on it.
pub(crate) fn are_pictures(files: &Value) {
    for (name, file) in files.as_object().unwrap() {
        let bytes = std::fs::metadata(file.as_str().unwrap()).unwrap().len();
        assert!(
            (PICTURE_BYTES_MIN..PICTURE_BYTES_MAX).contains(&bytes),
            "{name}: {bytes} bytes"
        );
    }
}
