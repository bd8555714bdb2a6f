//! Releases are signed as they are taken, and refused where what was signed does not stand any more.

use std::path::{Path, PathBuf};

use crate::support::{Instar, Setup, until};

/// A gateway with two releases.
fn edited() -> Instar {
    let instar = Instar::start(Setup::default());
    let soul = instar.state.join("workspace/SOUL.md");
    let text = std::fs::read_to_string(&soul).unwrap();
    std::fs::write(&soul, text + "\nYou like short sentences.\n").unwrap();
    until("the edit is a release", || {
        let log = instar.run(["release", "log", "--json"]).json();
        (log.as_array().unwrap().len() == 2).then_some(())
    });
    instar
}

/// The same, stopped.
fn lived_in() -> Instar {
    let mut instar = edited();
    let sound = instar.run(["release", "verify", "--all", "--json"]).json();
    assert_eq!(sound["problems"], serde_json::json!([]), "{sound}");
    assert_eq!(
        (&sound["releases"], &sound["statements"]),
        (&2.into(), &4.into())
    );
    instar.terminate();
    instar
}

fn object(state: &Path, hash: &str) -> PathBuf {
    let (folder, name) = hash.split_at(2);
    state.join("objects").join(folder).join(name)
}

/// The objects that are signed envelopes.
fn envelopes(state: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in std::fs::read_dir(state.join("objects")).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            if bytes.starts_with(b"{\"payload\":") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_release_whose_signed_statement_was_changed_is_not_served_until_the_owner_signs_again() {
    let mut instar = lived_in();
    instar.launch();
    instar.terminate();
    let head = instar.run(["release", "verify", "--json"]).json()["head"].clone();
    let paths = envelopes(&instar.state);
    assert_eq!(paths.len(), 4);
    for path in &paths {
        let mut bytes = std::fs::read(path).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 0x01;
        std::fs::write(path, bytes).unwrap();
    }
    let refused = instar.run(["release", "verify", "--all"]);
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(
        refused
            .stdout
            .contains("its content or its signature was changed"),
        "{refused:?}"
    );
    let stopped = instar.try_launch().unwrap_err();
    let said = format!("{stopped:?}");
    assert!(
        said.contains("is refused") && said.contains("instar release sign"),
        "{said}"
    );

    let signed = instar.run(["release", "sign", "--json"]).json();
    assert!(signed["signed"].is_string());
    instar.launch();
    // The end that was noted is still part of the history, and a made-up one is not.
    let noted = head.as_str().unwrap();
    let kept = instar.run(["release", "verify", "--noted", noted]);
    assert_eq!(kept.code, 0, "{kept:?}");
    let other = format!("1:{}", "0".repeat(64));
    let refused = instar.run(["release", "verify", "--noted", &other]);
    assert_ne!(refused.code, 0, "{refused:?}");
}

#[test]
fn a_release_whose_content_was_changed_is_refused() {
    let mut instar = lived_in();
    let shown = instar.run(["release", "show", "--json"]).json();
    let id = shown["id"].as_str().unwrap();
    let path = object(&instar.state, id);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("short sentences", "shorn sentences")).unwrap();
    let said = format!("{:?}", instar.try_launch().unwrap_err());
    assert!(said.contains("do not have that hash"), "{said}");
}

#[test]
fn a_release_travels_as_an_oci_folder_and_is_taken_in_under_a_key_that_is_trusted() {
    let here = edited();
    let there = Instar::start(Setup::default());
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("layout");
    let at = at.to_str().unwrap();
    let written = here.run(["release", "export", "stable", at, "--json"]);
    assert_eq!(written.code, 0, "{written:?}");
    let report = here.run(["release", "verify", "--json"]).json();
    let key = folder.path().join("here.pub");
    std::fs::write(&key, report["key"].as_str().unwrap()).unwrap();

    let foreign = there.run(["release", "import", at]);
    assert_ne!(foreign.code, 0, "{foreign:?}");
    let why = "nobody signed it whose key is trusted";
    assert!(
        foreign.code == 5 && foreign.stderr.contains(why),
        "{foreign:?}"
    );
    assert!(
        !foreign.stderr.contains("release sign"),
        "that would be of no help: {foreign:?}"
    );
    let before = there.run(["release", "show", "--json"]).json();
    let key = key.to_str().unwrap();
    let taken = there
        .run(["release", "import", at, "--key", key, "--json"])
        .json();
    assert_eq!(taken["stored"], true, "{taken}");
    let after = there.run(["release", "show", "--json"]).json();
    assert_eq!(before["id"], after["id"], "it serves nobody");
    let sound = there.run(["release", "verify", "--all", "--json"]).json();
    assert_eq!(
        (&sound["problems"], &sound["releases"]),
        (&serde_json::json!([]), &2.into())
    );

    // A byte of a blob: refused before anything of it is read further.
    let blobs = folder.path().join("layout/blobs/sha256");
    let blob = std::fs::read_dir(blobs)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[3] ^= 0x01;
    std::fs::write(&blob, bytes).unwrap();
    let changed = there.run(["release", "import", at, "--key", key]);
    assert!(changed.stderr.contains("size and hash"), "{changed:?}");
}

#[test]
fn the_owner_signs_a_release_with_a_locked_key_of_his_own_and_checks_ours_with_tools_of_others() {
    let instar = Instar::start(Setup::default());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let run = |args: &[&str], input: &str| {
        let input = std::fs::File::open(input).ok();
        let input = input.map_or_else(std::process::Stdio::null, Into::into);
        let ran = std::process::Command::new("ssh-keygen")
            .args(args)
            .env("SSH_ASKPASS", at("says"))
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(input)
            .output();
        ran.map(|output| output.status.success())
    };
    // The key is locked: whoever signs says its sentence, which no part of the gateway hears.
    let says = |sentence: &str| {
        std::fs::write(at("says"), format!("#!/bin/sh\necho '{sentence}'\n")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(at("says"), mode).unwrap();
    };
    let sentence = "seven geese over the weir";
    says(sentence);
    let (key, file) = (at("key"), at("statement.json"));
    if run(&["-q", "-t", "ed25519", "-N", sentence, "-f", &key], "").is_err() {
        crate::support::skipped("ssh-keygen is not there; `cargo xtask test` installs it");
        return;
    }
    let spoken = instar
        .run(["release", "statement", "stable", &file, "--json"])
        .json();
    let allowed = format!("gateway {}\n", spoken["ssh_key"].as_str().unwrap());
    std::fs::write(at("allowed"), allowed).unwrap();
    let (sig, list) = (at("statement.json.sig"), at("allowed"));
    let ours = at("statement.json.gateway.sig");
    let args = [
        "-Y",
        "verify",
        "-f",
        &list,
        "-I",
        "gateway",
        "-n",
        "instar-release",
        "-s",
        &ours,
    ];
    assert!(run(&args, &file).unwrap(), "ours is not taken");
    assert!(
        !std::path::Path::new(&sig).exists(),
        "that is the owner's place"
    );

    let try_to_sign = |namespace: &str| {
        drop(std::fs::remove_file(&sig));
        let args = ["-q", "-Y", "sign", "-n", namespace, "-f", &key, &file];
        run(&args, "").unwrap()
    };
    let sign = |namespace: &str| assert!(try_to_sign(namespace));
    says("six geese");
    assert!(!try_to_sign("instar-release"), "the key is not locked");
    says(sentence);
    let endorse = || instar.run(["release", "endorse", "stable", "--signature", &sig]);
    sign("instar-release");
    let foreign = endorse();
    let why = "nobody signed it whose key is trusted";
    assert!(
        foreign.code == 5 && foreign.stderr.contains(why),
        "{foreign:?}"
    );
    assert!(
        !foreign.stderr.contains("release sign"),
        "that would be of no help: {foreign:?}"
    );
    let public = std::fs::read_to_string(at("key.pub")).unwrap();
    crate::support::write_private(&instar.state.join("owner-keys"), &public);
    sign("file");
    let namespace = endorse();
    let why = "it was signed as";
    assert!(
        namespace.code == 5 && namespace.stderr.contains(why),
        "{namespace:?}"
    );
    sign("instar-release");
    assert_eq!(endorse().code, 0);
    let sound = instar.run(["release", "verify", "--all", "--json"]).json();
    assert_eq!(
        (&sound["problems"], &sound["endorsed"]),
        (&serde_json::json!([]), &1.into())
    );
}

#[test]
fn the_signing_key_is_changed_and_what_it_had_signed_still_verifies() {
    let mut instar = Instar::start(Setup::default());
    let before = instar.run(["release", "keys", "list", "--json"]).json();
    assert_eq!(before.as_array().unwrap().len(), 1, "{before:#}");
    let running = instar.run(["release", "keys", "rotate"]);
    assert!(running.stderr.contains("stop it first"), "{running:?}");
    let _stopped = instar.terminate();
    let after = instar.run(["release", "keys", "rotate", "--json"]).json();
    assert_eq!(after[0]["key"], before[0]["key"], "{after:#}");
    assert!(
        after[0]["retired_at"].is_u64() && after[1]["retired_at"].is_null(),
        "{after:#}"
    );
    assert_ne!(after[0]["key"], after[1]["key"]);
    instar.launch();
    let verified = instar.run(["release", "verify", "--all", "--json"]).json();
    assert_eq!(verified["problems"], serde_json::json!([]));
    assert_eq!(verified["key"], after[1]["key"]);
    let listed = instar.run(["release", "keys", "list"]).stdout;
    assert!(
        listed.contains("retired") && listed.contains("signs"),
        "{listed}"
    );
    let log = instar.run(["release", "log"]).stdout;
    assert!(
        log.contains("the signing key was changed to number 2"),
        "{log}"
    );
}
