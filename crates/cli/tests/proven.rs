//! What is signed of a release, through the binary: who can check it, with which tools, and for how long it holds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::rollouts::serve;
use crate::support::{Instar, Setup, skipped};

/// A release that was a candidate, with gates, a rollout and its end.
pub(crate) fn promoted(instar: &Instar) -> Value {
    let delta = json!({"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": 3}});
    let made = instar.propose(&delta).json();
    serve(instar, made["id"].as_str().unwrap());
    made
}

#[test]
fn what_a_gate_said_holds_for_as_long_as_its_owner_says() {
    let instar = Instar::start(Setup::default().config(json!({"improve": {"gateDays": 3}})));
    let delta = json!({"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": 3}});
    let made = instar.propose(&delta).json();
    let id = made["id"].as_str().unwrap();
    let table = instar.run(["candidate", "check", id, "--json"]).json();
    let told = table["gates"]["rows"]
        .as_array()
        .or(table["rows"].as_array());
    let row = told.unwrap().iter().find(|row| row["gate"] == "secrets");
    let row = row.unwrap();
    let day = row["at"].as_u64().unwrap() / 1_000 / 86_400;
    let until = row["until"].as_str().unwrap();
    let date: Vec<i64> = until[..10].split('-').map(|n| n.parse().unwrap()).collect();
    assert_eq!(
        days_of(date[0], date[1], date[2]),
        i64::try_from(day).unwrap() + 3
    );
    // People are told, too.
    for command in [["candidate", "check"], ["candidate", "show"]] {
        let shown = instar.run([command[0], command[1], id]).stdout;
        assert!(shown.contains("holds until"), "{shown}");
        let line = shown.lines().find(|line| line.contains("secrets")).unwrap();
        assert!(line.contains(&until[..10]), "{shown}");
    }
    let page = instar
        .http
        .get(&format!("/candidates/{}", made["id"].as_str().unwrap()));
    assert!(
        page.body
            .contains(&format!("<td class=\"until\">{}</td>", &until[..10])),
        "{}",
        page.body
    );
    let long = instar.run(["config", "set", "improve.gateDays", "400"]);
    assert_ne!(long.code, 0, "{long:?}");
}

/// Days since 1970 of a date.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[test]
fn a_promoted_release_tells_its_deltas_its_gates_and_the_verdict_of_its_rollout() {
    let instar = Instar::start(Setup::default());
    let made = promoted(&instar);
    let told = instar.run(["release", "provenance", "--json"]).json();
    let says = |name: &str| {
        let nodes = told["nodes"].as_array().unwrap();
        let node = nodes.iter().find(|node| node["name"] == name);
        node.unwrap_or_else(|| panic!("{name}: {told:#}"))["says"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let verdict = says("rollout");
    assert!(
        verdict.starts_with("promoted (by owner); 0 episodes"),
        "{verdict}"
    );
    let adoption = says("adoption");
    assert!(
        adoption.starts_with("verified; gates: well-formed pass")
            && adoption.contains("human pass"),
        "{adoption}"
    );
    let tree = instar.run(["release", "provenance"]).stdout;
    assert!(
        tree.contains("rollout") && tree.contains("promoted (by owner)"),
        "{tree}"
    );
    let page = instar.http.get("/releases/stable/lineage").body;
    assert!(page.contains("promoted (by owner)"), "{page}");
    // Beside the alias there is one of what the files say; the page tells the moves of what is served.
    let log = instar.run(["release", "log", "--json"]).json();
    let of = |alias: &str| {
        let moves = log.as_array().unwrap().iter();
        moves.filter(|one| one["alias"] == alias).count()
    };
    assert_eq!((of("stable"), of("files")), (2, 1), "{log:#}");
    let page = instar.http.get("/releases").body;
    let (_, moves) = page.split_once("<ol class=\"line\">").unwrap();
    let (moves, _) = moves.split_once("</ol>").unwrap();
    assert_eq!(moves.matches("<li>").count(), of("stable"), "{moves}");

    let statement = statement(&instar);
    let parameters = &statement["predicate"]["buildDefinition"]["externalParameters"];
    let candidate = &parameters["candidate"];
    assert_eq!(candidate["digest"]["sha256"], made["id"], "{parameters:#}");
    assert!(candidate["deltas"][0]["digest"]["sha256"].is_string());
    let sound = instar.run(["release", "verify", "--all", "--json"]).json();
    assert_eq!(sound["problems"], json!([]));
}

/// The provenance of what is stable, as the binary hands it out.
fn statement(instar: &Instar) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("statement.json");
    let file = file.to_str().unwrap();
    let _spoken = instar
        .run(["release", "statement", "stable", file, "--json"])
        .json();
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Whether a program of others takes it; none if the program is not there.
fn takes(program: &str, args: &[&str], folder: &Path, input: Option<&Path>) -> Option<bool> {
    let input = input.map(|path| std::fs::File::open(path).unwrap());
    let ran = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(input.map_or_else(std::process::Stdio::null, Into::into))
        .output();
    match ran {
        Ok(output) => Some(output.status.success()),
        Err(_) => {
            skipped(&format!(
                "{program} is not there; `cargo xtask test` installs it"
            ));
            None
        }
    }
}

/// Changes one byte in the middle of a file.
fn change(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 0x01;
    std::fs::write(path, bytes).unwrap();
}

/// A release of this house, exported by the binary.
struct Exported {
    folder: tempfile::TempDir,
    key: String,
}

impl Exported {
    fn of(instar: &Instar) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let spoken = instar
            .run([
                "release",
                "statement",
                "stable",
                &at("statement.json"),
                "--json",
            ])
            .json();
        let written = instar.run(["release", "export", "stable", &at("layout"), "--json"]);
        assert_eq!(written.code, 0, "{written:?}");
        std::fs::write(at("gateway.pub"), spoken["minisign_key"].as_str().unwrap()).unwrap();
        let key = spoken["ssh_key"].as_str().unwrap().to_owned();
        let allowed = format!("gateway namespaces=\"instar-release\" {key}\n");
        std::fs::write(at("allowed"), allowed).unwrap();
        Self { folder, key }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The signed envelope in the exported folder.
    fn envelope(&self) -> PathBuf {
        let blobs = std::fs::read_dir(self.at("layout/blobs/sha256")).unwrap();
        let mut paths = blobs.map(|blob| blob.unwrap().path());
        let is_envelope =
            |path: &PathBuf| std::fs::read(path).unwrap().starts_with(b"{\"payload\":");
        paths.find(is_envelope).unwrap()
    }

    /// The key without what OpenSSH writes around it.
    fn hex(&self) -> String {
        let blob = STANDARD
            .decode(self.key.split(' ').nth(1).unwrap())
            .unwrap();
        hex::encode(&blob[blob.len() - 32..])
    }
}

#[test]
fn ssh_keygen_and_minisign_verify_the_statement_of_a_release_and_refuse_a_changed_byte() {
    let instar = Instar::start(Setup::default());
    promoted(&instar);
    let exported = Exported::of(&instar);
    let file = exported.at("statement.json");
    let (folder, input) = (exported.folder.path(), Some(file.as_path()));
    let ssh = [
        "-Y",
        "verify",
        "-f",
        "allowed",
        "-I",
        "gateway",
        "-n",
        "instar-release",
        "-s",
        "statement.json.gateway.sig",
    ];
    let minisign = [
        "-V",
        "-p",
        "gateway.pub",
        "-m",
        "statement.json",
        "-x",
        "statement.json.gateway.minisig",
    ];
    let both = || {
        (
            takes("ssh-keygen", &ssh, folder, input),
            takes("minisign", &minisign, folder, None),
        )
    };
    let (by_ssh, by_minisign) = both();
    assert_ne!(by_ssh, Some(false));
    assert_ne!(by_minisign, Some(false));
    change(&file);
    let (by_ssh, by_minisign) = both();
    assert_ne!(by_ssh, Some(true), "a changed byte was taken");
    assert_ne!(by_minisign, Some(true), "a changed byte was taken");
}

const PYTHON: &str = r#"
import json, sys
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

with open(sys.argv[1]) as file:
    read = Envelope.from_dict(json.load(file))
key = SSlibKey("gateway", "ed25519", "ed25519", {"public": sys.argv[2]})
# It goes by its own hint.
for signature in list(read.signatures.values()):
    signature.keyid = "gateway"
    read.signatures["gateway"] = signature
read.verify([key], 1)
said = json.loads(read.payload)
assert said["_type"] == "https://in-toto.io/Statement/v1", said
assert said["subject"][0]["digest"]["sha256"] == sys.argv[3], said
assert said["predicate"]["buildDefinition"]["externalParameters"]["candidate"]["deltas"], said
"#;

#[test]
fn securesystemslib_verifies_the_envelope_of_an_exported_release_and_refuses_a_changed_byte() {
    let instar = Instar::start(Setup::default());
    promoted(&instar);
    let exported = Exported::of(&instar);
    let shown = instar.run(["release", "show", "--json"]).json();
    let program = std::env::var("INSTAR_TEST_PYTHON").unwrap_or_else(|_| {
        let home = std::env::var("HOME").unwrap_or_default();
        format!("{home}/.cache/instar/python/bin/python")
    });
    let folder = exported.folder.path();
    let imports = ["-c", "import securesystemslib, cryptography"];
    if takes(&program, &imports, folder, None) != Some(true) {
        skipped("no Python with securesystemslib; `cargo xtask test` installs it");
        return;
    }
    let envelope = exported.envelope();
    let (path, hex) = (envelope.to_str().unwrap(), exported.hex());
    let args = ["-c", PYTHON, path, &hex, shown["id"].as_str().unwrap()];
    assert_eq!(takes(&program, &args, folder, None), Some(true));

    // One byte of what is signed; of the signature; another key.
    let sound: Value = serde_json::from_slice(&std::fs::read(&envelope).unwrap()).unwrap();
    let changed = |text: &Value| {
        let mut bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 0x01;
        json!(STANDARD.encode(bytes))
    };
    for place in ["/payload", "/signatures/0/sig"] {
        let mut other = sound.clone();
        *other.pointer_mut(place).unwrap() = changed(&sound.pointer(place).unwrap().clone());
        std::fs::write(&envelope, other.to_string()).unwrap();
        assert_eq!(takes(&program, &args, folder, None), Some(false), "{place}");
    }
    std::fs::write(&envelope, sound.to_string()).unwrap();
    assert_eq!(takes(&program, &args, folder, None), Some(true));
    let other = "11".repeat(32);
    let args = ["-c", PYTHON, path, &other, shown["id"].as_str().unwrap()];
    assert_eq!(takes(&program, &args, folder, None), Some(false));
}
