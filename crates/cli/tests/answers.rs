//! Every command has an example here: its answer is data when that is asked for, and plain text in a pipe.

use instar_demo::{Answer, Script};
use serde_json::Value;

use crate::commands::{lived_in, words};
use crate::support::{Instar, Output, Setup};

/// How a command's answer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// One JSON document.
    Document,
    /// One JSON document on each line.
    Lines,
    /// Not data: a script, a page.
    Text,
}

#[track_caller]
fn assert_form(line: &str, form: Form, output: &Output) {
    assert_eq!(output.code, 0, "{line}: {output:?}");
    let parses = |text: &str| serde_json::from_str::<Value>(text).is_ok();
    match form {
        Form::Document => assert!(parses(&output.stdout), "{line}: {output:?}"),
        Form::Lines => {
            assert!(!output.stdout.is_empty(), "{line} printed nothing");
            assert!(output.stdout.lines().all(parses), "{line}: {output:?}");
        }
        Form::Text => assert!(!output.stdout.is_empty(), "{line} printed nothing"),
    }
}

/// Every command with an example: how it is typed, what it reads, how its answer is read.
const EXAMPLES: &[(&str, &str, Form)] = &[
    ("status", "", Form::Document),
    ("health", "", Form::Document),
    ("doctor", "", Form::Document),
    ("gateway status", "", Form::Document),
    ("gateway start", "", Form::Document),
    ("gateway install --print", "", Form::Document),
    ("logs -n 5", "", Form::Lines),
    ("config get", "", Form::Document),
    ("config get gateway.port", "", Form::Document),
    (
        "config set gateway.limits.requestsPerMinute 900",
        "",
        Form::Document,
    ),
    (
        "config unset gateway.limits.requestsPerMinute",
        "",
        Form::Document,
    ),
    ("config validate", "", Form::Document),
    ("config schema", "", Form::Document),
    ("config file", "", Form::Document),
    ("secrets set mine", "sk-test-0123456789", Form::Document),
    ("secrets list", "", Form::Document),
    ("secrets remove mine", "", Form::Document),
    ("models list", "", Form::Document),
    ("models status", "", Form::Document),
    ("models probe scripted/x", "", Form::Document),
    ("models set scripted/x", "", Form::Document),
    ("agent --message hello", "", Form::Document),
    ("devices list", "", Form::Document),
    ("dashboard --no-open", "", Form::Document),
    ("agents list", "", Form::Document),
    ("agents show main", "", Form::Document),
    ("sessions list", "", Form::Document),
    ("sessions search hello", "", Form::Document),
    ("sessions show main", "", Form::Document),
    ("sessions show main --ids", "", Form::Document),
    ("sessions branches main", "", Form::Document),
    ("sessions export main", "", Form::Lines),
    ("tools list", "", Form::Document),
    ("skill list", "", Form::Document),
    ("undo", "", Form::Document),
    ("memory list", "", Form::Document),
    ("memory search boat", "", Form::Document),
    ("memory edit list", "", Form::Document),
    ("memory quarantine list", "", Form::Document),
    ("approvals list", "", Form::Document),
    ("approvals rules", "", Form::Document),
    ("approvals rules list", "", Form::Document),
    ("inbox list", "", Form::Document),
    ("heartbeat status", "", Form::Document),
    ("heartbeat off", "", Form::Document),
    ("heartbeat on", "", Form::Document),
    ("schedule list", "", Form::Document),
    ("schedule runs", "", Form::Document),
    ("policy show", "", Form::Document),
    ("policy rules", "", Form::Document),
    ("policy explain ls {}", "", Form::Document),
    ("policy contacts", "", Form::Document),
    ("policy test", "", Form::Document),
    ("policy posture", "", Form::Document),
    ("audit verify", "", Form::Document),
    ("audit log", "", Form::Document),
    ("audit head", "", Form::Document),
    ("usage", "", Form::Document),
    ("release list", "", Form::Document),
    ("release show", "", Form::Document),
    ("release diff", "", Form::Document),
    ("release log", "", Form::Document),
    ("release verify", "", Form::Document),
    ("release provenance", "", Form::Document),
    ("release keys list", "", Form::Document),
    ("candidate list", "", Form::Document),
    (
        "candidate new --delta -",
        r#"{"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": 3}}"#,
        Form::Document,
    ),
    ("rollout history", "", Form::Document),
    ("rollout simulate --runs 10", "", Form::Document),
    ("fault list", "", Form::Document),
    ("fault log", "", Form::Document),
    ("fault merges list", "", Form::Document),
    ("lab log", "", Form::Document),
    ("gene list", "", Form::Document),
    ("heal status", "", Form::Document),
    ("events tail -n 5", "", Form::Lines),
    ("completions bash", "", Form::Text),
    ("version", "", Form::Document),
    ("token rotate", "", Form::Document),
    ("secrets protect", "a long passphrase", Form::Document),
];

/// Tried by tests of their own: they run until they are stopped, or need what was deleted before.
const ELSEWHERE: &[&str] = &[
    "up",
    "chat",
    "acp",
    "mcp serve",
    "man",
    "gateway run",
    "gateway uninstall",
    "gateway stop",
    "gateway restart",
    "onboard",
    "devices approve",
    "devices reject",
    "devices rename",
    "devices revoke",
    "devices rotate",
    "devices remove",
    "sessions rewind",
    "sessions switch",
    "sessions retry",
    "sessions fork",
    "sessions delete",
    "sessions restore",
    "token take",
    "candidate show",
    "release sign",
    "release keys rotate",
    "release export",
    "release statement",
    "release endorse",
    "release import",
    "candidate diff",
    "candidate withdraw",
    "candidate check",
    "candidate approve",
    "candidate rebase",
    "release rollback",
    "rollout start",
    "rollout status",
    "rollout pause",
    "rollout resume",
    "rollout promote",
    "rollout abort",
    "fault show",
    "fault merge",
    "fault split",
    "fault mute",
    "fault name",
    "fault divide",
    "fault unite",
    "fault merges accept",
    "fault merges refuse",
    "lab run",
    "lab status",
    "demo improve",
    "demo heal",
    "gene show",
    "gene add",
    "gene ban",
    "gene allow",
    "heal explain",
    "heal try",
    "heal rehearse",
    "lab export",
    "lab import",
    "lab forget",
    "lab walls",
    "eval run",
    "eval list",
    "eval show",
    "eval init",
    "eval record",
    "eval import",
    "approvals show",
    "approvals approve",
    "approvals deny",
    "approvals rules revoke",
    "policy contacts forget",
    "heartbeat wake",
    "schedule show",
    "schedule run",
    "inbox show",
    "inbox answer",
    "inbox close",
    "security audit",
    "memory show",
    "memory edit show",
    "memory edit accept",
    "memory edit refuse",
    "memory edit undo",
    "memory quarantine show",
    "memory quarantine restore",
    "memory quarantine drop",
    "skill show",
    "skill scan",
];

#[test]
fn every_command_that_prints_data_prints_json_when_asked() {
    let instar = lived_in();
    for (line, stdin, form) in EXAMPLES {
        let mut args = words(line);
        args.push("--json");
        assert_form(line, *form, &instar.run_with(&args, stdin));
    }
    let manual = instar.run(["manual"]).stdout;
    for heading in manual
        .lines()
        .filter_map(|line| line.strip_prefix("## instar "))
    {
        let tried = EXAMPLES.iter().any(|(line, ..)| line.starts_with(heading));
        assert!(
            tried || ELSEWHERE.contains(&heading),
            "nobody tries `instar {heading}`"
        );
    }
}

#[test]
fn nothing_that_is_piped_holds_colour_or_control_characters() {
    let script = Script {
        otherwise: Answer::text("\u{1b}[31mred\u{1b}]0;title\u{7} \u{202e}backwards\u{9b}2J"),
        ..Script::default()
    };
    let instar = Instar::start(Setup::scripted(script));
    let said = instar.run_with(&["agent", "--message", "\u{1b}[2Jhello"], "");
    assert!(said.stdout.contains("red"), "{said:?}");
    let lines = EXAMPLES
        .iter()
        .map(|(line, stdin, _)| (words(line), *stdin));
    for (args, stdin) in lines.filter(|(args, _)| args[0] != "secrets" && args[0] != "token") {
        let output = instar.run_with(&args, stdin);
        for text in [&output.stdout, &output.stderr] {
            let control = text.chars().find(|c| {
                (c.is_control() && !matches!(c, '\n' | '\t'))
                    || matches!(c, '\u{202a}'..='\u{202e}')
            });
            assert_eq!(control, None, "{args:?}: {output:?}");
        }
    }
    let coloured = instar.run(["status", "--color", "always"]);
    assert!(
        coloured.stdout.contains("\u{1b}[32mfine\u{1b}[0m"),
        "{coloured:?}"
    );
}
