//! Scripts of suites through the built binary: what their answers mean, and what they cannot do.

use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Instar, Setup, skipped};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

/// True if both interpreters are where scripts are run with them.
fn can_run() -> bool {
    let both = ["/usr/bin/node", "/usr/bin/python3"];
    let there = both.iter().all(|file| Path::new(file).is_file());
    if !there {
        skipped("needs /usr/bin/node and /usr/bin/python3");
    }
    there
}

/// The rows of a run, with the exit code that says whether all passed.
fn rows(instar: &Instar, words: &[&str], code: i32) -> Vec<Value> {
    let words: Vec<&str> = ["eval", "run", "--json"]
        .into_iter()
        .chain(words.iter().copied())
        .collect();
    let ran = instar.run_with(&words, "");
    assert_eq!(ran.code, code, "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    report["arms"][0]["rows"].as_array().unwrap().clone()
}

/// Outcome and score of each case in promptfoo, run now.
fn promptfoo(program: &str) -> Value {
    let scratch = tempfile::tempdir().unwrap();
    let out = scratch.path().join("out.json");
    let ran = Command::new("node")
        .arg(program)
        .args(["eval", "--no-cache", "--no-table", "--no-write", "-c"])
        .arg(folder().join("suite.yaml"))
        .arg("-o")
        .arg(&out)
        .env("PROMPTFOO_CONFIG_DIR", scratch.path())
        .env("PROMPTFOO_PYTHON", "/usr/bin/python3")
        .env("PROMPTFOO_DISABLE_TELEMETRY", "1")
        .env("PROMPTFOO_DISABLE_UPDATE", "1")
        .output()
        .unwrap();
    let text = std::fs::read(out).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let told: Value = serde_json::from_slice(&text).unwrap();
    let mut rows = told["results"]["results"].as_array().unwrap().clone();
    rows.sort_by_key(|row| row["testIdx"].as_u64());
    let each = rows.iter().map(|row| json!([row["success"], row["score"]]));
    each.collect()
}

#[test]
fn scripts_decide_as_in_promptfoo_where_they_may_run_and_nowhere_else() {
    if !can_run() {
        return;
    }
    let instar = Instar::prepare(Setup::default());
    let suite = folder().join("suite.yaml");
    let suite = suite.to_str().unwrap();
    for row in rows(&instar, &[suite], 100) {
        assert_eq!(row["outcome"], "unsupported", "{row:#}");
        assert!(row["reason"].to_string().contains("--scripts"), "{row:#}");
    }
    let ours = rows(&instar, &[suite, "--scripts", "--jobs", "2"], 100);
    let text = std::fs::read(folder().join("expected.json")).unwrap();
    let mut expected: Value = serde_json::from_slice(&text).unwrap();
    if let Ok(program) = std::env::var("INSTAR_TEST_PROMPTFOO") {
        expected = promptfoo(&program);
    }
    let expected = expected.as_array().unwrap();
    assert_eq!(ours.len(), expected.len());
    for (row, there) in ours.iter().zip(expected) {
        let outcome = match there[0].as_bool() {
            Some(true) => "passed",
            _ => "failed",
        };
        assert_eq!(row["outcome"], outcome, "{row:#}");
        let difference = row["score"].as_f64().unwrap() - there[1].as_f64().unwrap();
        assert!(difference.abs() < 1e-9, "{there}: {row:#}");
    }
}

/// One way out for each script: it says `held` and what stopped it, or that it got through.
fn attempts(secret: &Path, port: u16) -> Vec<(&'static str, String)> {
    let beside = secret.with_file_name("written");
    let (secret, beside) = (secret.display(), beside.display());
    let node = |words: &str| {
        format!(
            "const fs = process.mainModule.require('fs');\n\
             const net = process.mainModule.require('net');\n\
             const away = process.mainModule.require('child_process');\n\
             return (async () => {{\n  try {{\n    {words};\n  }} catch (error) {{\n    \
             return {{ pass: true, score: 1, reason: 'held ' + (error.code ?? error.message) }};\n  }}\n  \
             return {{ pass: false, score: 0, reason: 'through' }};\n}})()"
        )
    };
    let python = |words: &str| {
        format!(
            "import os, socket, subprocess\ntry:\n    {words}\nexcept Exception as error:\n    \
             return {{'pass': True, 'score': 1, 'reason': 'held ' + str(error)}}\n\
             return {{'pass': False, 'score': 0, 'reason': 'through'}}\n"
        )
    };
    let connect = format!(
        "await new Promise((good, bad) => net.connect({port}, '127.0.0.1', good).on('error', bad))"
    );
    let reach =
        |host: &str, port: u16| python(&format!("socket.create_connection(('{host}', {port}), 5)"));
    vec![
        ("javascript", node(&format!("fs.readFileSync('{secret}')"))),
        (
            "javascript",
            node(&format!("fs.writeFileSync('{beside}', 'x')")),
        ),
        (
            "javascript",
            node("fs.writeFileSync('/usr/bin/written', 'x')"),
        ),
        ("javascript", node(&connect)),
        (
            "javascript",
            node(&format!(
                "away.execFileSync('/bin/cat', ['{secret}'], {{stdio: 'pipe'}})"
            )),
        ),
        (
            "javascript",
            node(
                "if (!fs.readFileSync('/proc/self/environ', 'utf8').includes('INSTAR')) throw new Error('nothing')",
            ),
        ),
        ("python", python(&format!("open('{secret}').read()"))),
        ("python", python(&format!("open('{beside}', 'w')"))),
        ("python", python("os.mkdir('/usr/written')")),
        ("python", reach("127.0.0.1", port)),
        ("python", reach("8.8.8.8", 53)),
        (
            "python",
            python(&format!(
                "subprocess.run(['/bin/cat', '{secret}'], check=True)"
            )),
        ),
    ]
}

#[test]
fn a_script_reaches_no_network_reads_nothing_of_its_user_s_and_leaves_nothing_behind() {
    if !can_run() {
        return;
    }
    let instar = Instar::prepare(Setup::default());
    let secret = instar.home().join("secret");
    std::fs::write(&secret, "the bait").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let tests: Vec<Value> = attempts(&secret, port)
        .into_iter()
        .map(|(kind, value)| json!({ "assert": [{ "type": kind, "value": value }] }))
        .collect();
    let suite = instar.home().join("attempts.json");
    let whole = json!({ "prompts": ["x"], "providers": ["echo"], "tests": tests });
    std::fs::write(&suite, whole.to_string()).unwrap();
    let suite = suite.to_str().unwrap();
    for row in rows(&instar, &[suite, "--scripts", "--jobs", "2"], 0) {
        let reason = row["checks"][0]["reason"].as_str().unwrap();
        assert!(reason.starts_with("held "), "{row:#}");
    }
    assert!(listener.accept().is_err(), "somebody called");
    assert!(!secret.with_file_name("written").exists());
    assert!(!Path::new("/usr/bin/written").exists() && !Path::new("/usr/written").exists());

    // Files of scripts lie beside the suite; one that writes without end is no verdict.
    let wrong = json!({ "prompts": ["x"], "providers": ["echo"], "tests": [
        { "assert": [{ "type": "python", "value": "print('x' * 100_000_000) or True" }] },
    ]});
    let flood = instar.home().join("flood.json");
    std::fs::write(&flood, wrong.to_string()).unwrap();
    let told = rows(&instar, &[flood.to_str().unwrap(), "--scripts"], 100);
    assert_eq!(told[0]["outcome"], "error", "{told:#?}");
    let outside = instar.home().join("inner");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(
        instar.home().join("check.py"),
        "def get_assert(o, c): return True",
    )
    .unwrap();
    let suite = json!({ "prompts": ["x"], "tests": [
        { "assert": [{ "type": "python", "value": "file://../check.py" }] },
    ]});
    let file = outside.join("suite.json");
    std::fs::write(&file, suite.to_string()).unwrap();
    let refused = instar.run_with(&["eval", "run", "--scripts", file.to_str().unwrap()], "");
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stderr.contains("outside the folder of the suite"),
        "{refused:?}"
    );
}

/// Gives the second word of the prompt, with what the suite says beside it, after a look around.
const ANSWERS: [(&str, &str); 2] = [
    (
        "answer.py",
        "import json, os, sys\n\
         context = json.loads(sys.argv[3])\n\
         config = json.loads(sys.argv[2])['config']\n\
         there = os.path.exists(context['vars']['secret'])\n\
         print(sys.argv[1].split()[1], config.get('ending', ''), there)\n",
    ),
    (
        "answer.js",
        "const context = JSON.parse(process.argv[4]);\n\
         const config = JSON.parse(process.argv[3]).config;\n\
         const there = require('fs').existsSync(context.vars.secret);\n\
         console.log(process.argv[2].split(' ')[1], config.ending || '', there ? 'True' : 'False');\n",
    ),
];

#[test]
fn a_program_of_a_suite_answers_behind_walls_where_it_may_run_and_nowhere_else() {
    if !can_run() {
        return;
    }
    let instar = Instar::prepare(Setup::default());
    for (name, text) in ANSWERS {
        std::fs::write(instar.home().join(name), text).unwrap();
    }
    let secret = instar.home().join("secret.txt");
    std::fs::write(&secret, "hidden").unwrap();
    std::fs::write(instar.home().join("silent.py"), "pass\n").unwrap();
    let suite = json!({
        "prompts": ["hello {{who}}"],
        "providers": [
            {"id": "exec: python3 answer.py", "config": {"ending": "now"}},
            {"id": "exec: node answer.js", "config": {"ending": "now"}},
            "exec: python silent.py",
            "exec: bash -c id",
        ],
        "tests": [{
            "vars": {"who": "Ann", "secret": secret},
            "assert": [{"type": "equals", "value": "Ann now False"}],
        }],
    });
    let file = instar.home().join("programs.json");
    std::fs::write(&file, suite.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let outcomes = |rows: &[Value]| -> Vec<String> {
        let each = rows.iter().map(|row| row["outcome"].as_str().unwrap());
        each.map(str::to_owned).collect()
    };
    let without = rows(&instar, &[file], 100);
    assert_eq!(outcomes(&without), ["unsupported"; 4], "{without:#?}");
    assert!(without[0]["reason"].to_string().contains("--scripts"));
    let with = rows(&instar, &[file, "--scripts"], 100);
    assert_eq!(
        outcomes(&with),
        ["passed", "passed", "error", "unsupported"],
        "{with:#?}"
    );
    // The program is a part of what the suite is.
    let digest = |words: &[&str]| {
        let words: Vec<&str> = ["eval", "run", "--json"]
            .iter()
            .chain(words)
            .copied()
            .collect();
        let ran = instar.run_with(&words, "");
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["suite_digest"].clone()
    };
    let before = digest(&[file]);
    assert!(before.is_string());
    std::fs::write(instar.home().join("silent.py"), "print(1)\n").unwrap();
    assert_ne!(digest(&[file]), before);
}
