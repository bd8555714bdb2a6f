//! What commands do in a terminal and not in a pipe.

use instar_demo::{Answer, Script, Step};
use serde_json::json;

use crate::support::socket::{Key, hello};
use crate::support::terminal::Terminal;
use crate::support::{Instar, Setup, until};

fn typed(instar: &Instar, args: &[&str]) -> Terminal {
    let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
    Terminal::start(&instar.command(&[], &args))
}

#[test]
fn a_secret_that_is_broken_off_is_not_stored_and_the_terminal_shows_typing_again() {
    let instar = Instar::prepare(Setup::default());
    let mut terminal = typed(&instar, &["secrets", "set", "openai"]);
    terminal.expect("value of openai");
    assert!(!terminal.echoes(), "what is typed is hidden");
    terminal.ctrl_c();
    terminal.expect("nothing was stored");
    assert!(terminal.echoes());
    let (screen, status) = terminal.end();
    assert_eq!(status.code(), Some(1), "{screen}");
    assert_eq!(instar.run(["secrets", "list", "--json"]).json(), json!([]));
    let mut terminal = typed(&instar, &["secrets", "set", "openai"]);
    terminal.expect("value of openai");
    terminal.line("sk-typed-0123456789");
    terminal.expect("stored");
    assert!(terminal.echoes());
    let (screen, status) = terminal.end();
    assert!(status.success() && !screen.contains("sk-typed"), "{screen}");
    let listed = instar.run(["secrets", "list", "--json"]).json();
    assert_eq!(listed, json!(["openai"]));
}

#[test]
fn work_of_more_than_a_second_shows_that_it_goes_on_and_only_to_a_person() {
    let slow = Answer::of([Step::Pause(2_500), Step::Text("ready".to_owned())]);
    let instar = Instar::start(Setup::scripted(Script {
        otherwise: slow,
        ..Script::default()
    }));
    let mut terminal = typed(&instar, &["models", "probe"]);
    terminal.expect("==");
    terminal.expect("answers");
    let (screen, status) = terminal.end();
    assert!(status.success(), "{screen}");
    let piped = instar.run(["models", "probe"]);
    assert_eq!((piped.code, piped.stderr.as_str()), (0, ""), "{piped:?}");
    let mut command = instar.command(&[], &["models".to_owned(), "probe".to_owned()]);
    command.env("NO_COLOR", "1");
    let plain = Terminal::start(&command);
    let screen = until("it answers without a word between", || {
        let screen = plain.raw();
        screen.contains("answers").then_some(screen)
    });
    assert!(!screen.contains("=="), "{screen}");
}

/// Four cases that are answered one after the other.
const FOUR: &str = "
prompts: ['{{word}}']
providers: [echo]
defaultTest: {assert: [{type: equals, value: '{{word}}'}]}
tests: [{vars: {word: one}}, {vars: {word: two}}, {vars: {word: three}}, {vars: {word: four}}]
";

#[test]
fn how_many_cases_of_a_suite_are_done_is_shown_to_a_person_and_taken_away_again() {
    let instar = Instar::prepare(Setup::default());
    let suite = instar.home().join("four.yaml");
    std::fs::write(&suite, FOUR).unwrap();
    let run = ["eval", "run", suite.to_str().unwrap(), "--jobs", "1"];
    let mut terminal = typed(&instar, &run);
    for step in [
        "[=====               ] 1 of 4",
        "[==========          ] 2 of 4",
        "[===============     ] 3 of 4",
        "[====================] 4 of 4",
        "report sha256:",
    ] {
        terminal.expect(step);
    }
    let left = terminal.screen();
    assert!(!left.contains("of 4"), "{left}");
    let (screen, status) = terminal.end();
    assert!(status.success(), "{screen}");
    let piped = instar.run(run);
    assert_eq!(piped.code, 0, "{piped:?}");
    let all = format!("{}{}", piped.stdout, piped.stderr);
    assert!(!all.contains("of 4") && !all.contains("[="), "{all}");
}

#[test]
fn devices_are_listed_without_a_gateway_too() {
    let mut instar = Instar::start(Setup::default());
    let key = Key::new(7);
    assert!(key.connect(&instar, hello(&["operator.read"])).1.is_err());
    assert_eq!(instar.run(["devices", "approve"]).code, 0);
    let before = instar.run(["devices", "list", "--json"]).json();
    instar.terminate();
    let after = instar.run(["devices", "list", "--json"]).json();
    assert_eq!(after["paired"][0]["deviceId"], key.id(), "{after}");
    assert_eq!(after["paired"][0]["scopes"], before["paired"][0]["scopes"]);
    let told = instar.run(["devices", "list"]);
    assert!(told.stderr.contains("no gateway runs"), "{told:?}");
    let change = instar.run(["devices", "revoke", &key.id()[..12]]);
    assert_eq!(change.code, 4, "a change needs the gateway: {change:?}");
}
