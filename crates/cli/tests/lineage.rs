//! Where a release comes from, through the built binary.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::proven::promoted;
use crate::support::{Instar, Setup};

const SUITE: &str =
    "name: mine\nprompts: ['{{word}}']\nproviders: [echo]\ntests: file://words.csv\n";
const WORDS: &str = "word,__expected\nhello,hello\n";

#[test]
fn a_release_tells_what_it_comes_from_down_to_the_files_that_it_was_measured_with() {
    let mut instar = Instar::start(Setup::default());
    let before = instar.run(["release", "show", "--json"]).json();
    std::fs::create_dir_all(instar.state.join("suites")).unwrap();
    std::fs::write(instar.state.join("suites/mine.yaml"), SUITE).unwrap();
    std::fs::write(instar.state.join("suites/words.csv"), WORDS).unwrap();
    let made = promoted(&instar);

    let told = instar.run(["release", "provenance", "--json"]).json();
    let digest = hex::encode(Sha256::digest(WORDS));
    let node = |of: &str, text: &str| -> Value {
        let nodes = told["nodes"].as_array().unwrap();
        let mut fits = nodes
            .iter()
            .filter(|node| node["name"].as_str().unwrap().contains(text) && node["kind"] == of);
        fits.next()
            .unwrap_or_else(|| panic!("{text}: {told:#}"))
            .clone()
    };
    assert_eq!(
        node("material", "dataset words.csv")["digest"],
        json!(digest)
    );
    assert_eq!(node("candidate", "candidate")["digest"], made["id"]);
    assert!(
        node("candidate", "candidate")["says"]
            .as_str()
            .unwrap()
            .contains("a try")
    );
    let adoption = node("signature", "adoption")["says"].clone();
    assert!(
        adoption.as_str().unwrap().starts_with("verified; gates: "),
        "{adoption}"
    );
    assert!(node("delta", "tool_calls_max")["digest"].is_string());
    assert_eq!(
        node("release", &before["id"].as_str().unwrap()[..7])["digest"],
        before["id"]
    );
    let gate = node("gate", "gate evals");
    assert!(gate["says"].as_str().unwrap().starts_with("pass"), "{gate}");
    let edges = told["edges"].as_array().unwrap();
    let with = |edge: &&Value| edge["of"] == gate["id"] && edge["how"] == "with";
    // The suite, its file, its report, and the two of the built-in suite.
    assert_eq!(edges.iter().filter(with).count(), 5, "{told:#}");

    // The same stands in what was signed.
    let release = told["nodes"][0]["digest"].as_str().unwrap();
    let bundle = instar
        .http
        .get(&format!("/api/v1/releases/{release}/export"));
    let envelope: Value =
        serde_json::from_str(bundle.json()["statements"][0].as_str().unwrap()).unwrap();
    let payload = STANDARD
        .decode(envelope["payload"].as_str().unwrap())
        .unwrap();
    let statement: Value = serde_json::from_slice(&payload).unwrap();
    let build = &statement["predicate"]["buildDefinition"];
    let named = |dependency: &Value| {
        dependency["name"] == "dataset: words.csv" && dependency["digest"]["sha256"] == digest
    };
    let dependencies = build["resolvedDependencies"].as_array().unwrap();
    assert!(dependencies.iter().any(named), "{build:#}");
    assert_eq!(dependencies[0]["digest"]["sha256"], before["id"]);
    // So does the program that made it: this one.
    let version = env!("CARGO_PKG_VERSION");
    assert!(instar.run(["--version"]).stdout.contains(version));
    let builder = &statement["predicate"]["runDetails"]["builder"];
    assert_eq!(builder["version"]["instar"], version, "{builder:#}");
    assert_eq!(node("code", "instar ")["name"], format!("instar {version}"));
    let verified = instar.run(["release", "verify", "--all", "--json"]).json();
    assert_eq!(verified["problems"], json!([]));

    // As a tree, also with no gateway running.
    let _stopped = instar.terminate();
    let tree = instar.run(["release", "provenance"]).stdout;
    for line in [
        "  candidate: candidate",
        "      with: dataset words.csv",
        "  parent: release",
    ] {
        assert!(tree.contains(line), "{line}: {tree}");
    }
}
