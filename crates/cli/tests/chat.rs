//! `instar chat`, in a real terminal and in a pipe.

use instar_demo::{Answer as Said, Pace, Script, Split, Step, When};
use serde_json::json;

use crate::support::terminal::Terminal;
use crate::support::{Instar, Setup, until};

const ALT_ENTER: &str = "\u{1b}\r";
const CTRL_D: &str = "\u{4}";
const CTRL_N: &str = "\u{e}";
const CTRL_O: &str = "\u{f}";
const CTRL_T: &str = "\u{14}";
const ESCAPE: &str = "\u{1b}";
/// Takes the title of the window, the screen and the clipboard, and turns the text around.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}]52;c;b3duZWQ=\u{7}\u{9b}31m\u{202e}evil";

fn says(words: &str) -> When {
    When {
        says: vec![words.to_owned()],
        ..When::default()
    }
}

fn open(instar: &Instar, args: &[&str]) -> Terminal {
    let args: Vec<String> = std::iter::once("chat")
        .chain(args.iter().copied())
        .map(str::to_owned)
        .collect();
    Terminal::start(&instar.command(&[], &args))
}

#[test]
fn the_terminal_streams_stops_switches_and_waits_for_the_gateway() {
    let slow = Said {
        pace: Some(Pace {
            split: Split::Words,
            pause_ms: 200,
        }),
        ..Said::of([Step::Text("word ".repeat(2_000))])
    };
    let script = Script::saying("Short and whole.")
        .rule(says("slow"), slow)
        .rule(says("tool"), Said::call("exec", json!({ "command": "rm" })));
    let mut instar = Instar::start(Setup::scripted(script));
    let mut terminal = open(&instar, &[]);
    terminal.shows("Nothing was said here yet");
    terminal.keys(&format!("first{ALT_ENTER}second 日本\r"));
    terminal.shows("› first\n  second 日本");
    terminal.shows("Short and whole.");
    terminal.shows("scripted/x · ");

    // An answer that would take minutes is on the screen while it is made, and can be stopped.
    terminal.keys("slow\r");
    terminal.shows("word word");
    terminal.resize(30, 60);
    terminal.shows("word word");
    terminal.keys(ESCAPE);
    until("the turn ends", || {
        (!instar.http.get("/api/v1/sessions/main").expect(200)["session"]["running"]
            .as_bool()
            .unwrap())
        .then_some(())
    });

    // A conversation beside it, and back by searching.
    terminal.keys(CTRL_N);
    terminal.shows("Nothing was said here yet");
    terminal.keys("another one\r");
    terminal.shows("Short and whole.");
    terminal.keys(CTRL_O);
    terminal.shows("Conversations");
    terminal.keys("first");
    terminal.shows("find: first");
    terminal.shows("agent:main:main · ");
    terminal.keys("\r");
    terminal.shows("word word");

    // The gateway goes and comes back; what is said then is answered.
    terminal.shows("● scripted/x");
    let stopped = instar.terminate();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    terminal.shows("the gateway is away");
    instar.launch();
    terminal.shows("● scripted/x");
    terminal.keys("after the pause\r");
    terminal.shows("› after the pause");
    terminal.shows("Short and whole.");
    terminal.keys(CTRL_D);
    let (seen, status) = terminal.end();
    assert!(status.success(), "{status}");
    let left = seen.rfind("\u{1b}[?1049l").unwrap();
    assert!(
        seen.find("\u{1b}[?1049h").unwrap() < left,
        "the screen is given back"
    );
}

#[test]
fn hostile_text_never_drives_the_terminal() {
    let arguments = json!({ HOSTILE: HOSTILE });
    let script = Script::saying(format!("answer {HOSTILE}")).rule_times(
        1,
        says("tool"),
        Said::call("sessions_list", arguments),
    );
    let instar = Instar::start(Setup::scripted(script));
    instar.ask("main", &format!("tool {HOSTILE}"));
    let mut terminal = open(&instar, &[]);
    terminal.shows("answer ");
    terminal.keys(CTRL_T);
    terminal.shows("▾ ");
    terminal.keys(CTRL_O);
    terminal.shows("Conversations");
    terminal.shows("agent:main:main · ");
    terminal.keys(ESCAPE);
    terminal.keys(&format!("\u{1b}[200~{HOSTILE}\u{1b}[201~"));
    terminal.shows("› ");
    terminal.keys("\u{3}");
    terminal.keys("live\r");
    terminal.shows("› live");
    let raw = terminal.raw();
    assert!(raw.contains("evil"), "it was shown");
    for sequence in ["\u{1b}]", "\u{7}", "\u{9b}", "\u{202e}"] {
        assert!(!raw.contains(sequence), "{sequence:?} reached the terminal");
    }
    let piped = instar.run_with(&["chat"], "again\n");
    assert!(
        piped.code == 0 && piped.stdout.contains("evil"),
        "{piped:?}"
    );
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!piped.stdout.contains(bad), "{piped:?}");
}

#[test]
fn in_a_pipe_lines_are_answered_and_failure_has_a_code() {
    let mut instar = Instar::start(Setup::default());
    let said = instar.run_with(&["chat", "--session", "agent:main:pipe"], "one\n\ntwo\n");
    assert_eq!(said.code, 0, "{said:?}");
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{said:?}");
    assert!(
        lines[0].ends_with("one") && lines[1].ends_with("two"),
        "{said:?}"
    );
    assert_eq!(instar.entries("agent:main:pipe").len(), 4);
    let refused = instar.run_with(&["chat", "--model", "no/such"], "one\n");
    assert!(
        refused.code != 0 && refused.stderr.contains(" next: "),
        "{refused:?}"
    );
    instar.terminate();
    let alone = instar.run_with(&["chat"], "one\n");
    assert_eq!(alone.code, 4, "{alone:?}");
    assert!(alone.stderr.contains("instar up"), "{alone:?}");
}
