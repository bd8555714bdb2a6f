//! What we sign is verified by the tools that others use, and what they sign by us.

use std::path::Path;
use std::process::{Command, Output};

use instar_release::Signer;
use instar_release::sign::{Envelope, NAMESPACE, PublicKey, SignError, minisign, sshsig};

const MESSAGE: &[u8] = b"{\"a\":\"statement\"}\n";

fn signer() -> Signer {
    Signer::of_seed(&[7; 32]).unwrap()
}

/// Says why a test did not run.
#[expect(clippy::print_stderr, reason = "a test that did not run has to say so")]
fn skipped(why: &str) {
    eprintln!("SKIPPED: {why}");
}

fn run(program: &str, args: &[&str], folder: &Path, input: &Path) -> Option<Output> {
    let input = std::fs::File::open(input).unwrap();
    let ran = Command::new(program)
        .args(args)
        .current_dir(folder)
        .stdin(input)
        .output();
    match ran {
        Ok(output) => Some(output),
        Err(_) => {
            skipped(&format!(
                "{program} is not there; `cargo xtask test` installs it"
            ));
            None
        }
    }
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn ssh_keygen_verifies_ours_and_we_verify_its() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("message"), MESSAGE).unwrap();
    std::fs::write(at("message.ours"), sshsig::sign(MESSAGE, signer().key())).unwrap();
    let allowed = format!(
        "gateway namespaces=\"{NAMESPACE}\" {}\n",
        signer().public().ssh()
    );
    std::fs::write(at("allowed"), allowed).unwrap();
    let verify = |namespace: &str, input: &str| {
        let args = [
            "-Y",
            "verify",
            "-f",
            "allowed",
            "-I",
            "gateway",
            "-n",
            namespace,
            "-s",
            "message.ours",
        ];
        run("ssh-keygen", &args, folder.path(), &at(input))
    };
    let Some(found) = verify(NAMESPACE, "message") else {
        return;
    };
    assert!(found.status.success(), "{found:?}");
    // It refuses what we refuse: another namespace, another message.
    assert!(!verify("file", "message").unwrap().status.success());
    assert!(!verify(NAMESPACE, "allowed").unwrap().status.success());

    let made = run(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-C", "owner", "-f", "key"],
        folder.path(),
        &at("message"),
    );
    assert!(made.unwrap().status.success());
    let sign = |namespace: &str| {
        drop(std::fs::remove_file(at("message.sig")));
        let args = ["-q", "-Y", "sign", "-n", namespace, "-f", "key", "message"];
        let signed = run("ssh-keygen", &args, folder.path(), &at("message")).unwrap();
        assert!(signed.status.success(), "{signed:?}");
        text(&at("message.sig"))
    };
    let owner = PublicKey::parse(&text(&at("key.pub"))).unwrap();
    let signed = sign(NAMESPACE);
    assert_eq!(sshsig::verify(MESSAGE, &signed, &[owner]), Ok(owner));
    let foreign = sshsig::verify(MESSAGE, &signed, &[signer().public()]);
    assert_eq!(foreign, Err(SignError::Foreign));
    let changed = sshsig::verify(b"another", &signed, &[owner]);
    assert_eq!(changed, Err(SignError::Tampered));
    let namespace = sshsig::verify(MESSAGE, &sign("file"), &[owner]).unwrap_err();
    assert!(
        matches!(namespace, SignError::Namespace { .. }),
        "{namespace}"
    );
}

#[test]
fn minisign_verifies_ours_and_we_verify_its() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("message"), MESSAGE).unwrap();
    std::fs::write(
        at("message.minisig"),
        minisign::sign(MESSAGE, signer().key()),
    )
    .unwrap();
    std::fs::write(at("gateway.pub"), minisign::public_file(signer().public())).unwrap();
    let args = ["-V", "-p", "gateway.pub", "-m", "message"];
    let Some(found) = run("minisign", &args, folder.path(), &at("message")) else {
        return;
    };
    assert!(found.status.success(), "{found:?}");
    std::fs::write(at("message"), b"another").unwrap();
    let found = run("minisign", &args, folder.path(), &at("message")).unwrap();
    assert!(!found.status.success());
    std::fs::write(at("message"), MESSAGE).unwrap();

    let args = ["-G", "-W", "-p", "owner.pub", "-s", "owner.key"];
    let made = run("minisign", &args, folder.path(), &at("message")).unwrap();
    assert!(made.status.success(), "{made:?}");
    let sign = |comment: &str| {
        let args = [
            "-S",
            "-s",
            "owner.key",
            "-m",
            "message",
            "-x",
            "theirs",
            "-t",
            comment,
        ];
        let signed = run("minisign", &args, folder.path(), &at("message")).unwrap();
        assert!(signed.status.success(), "{signed:?}");
        text(&at("theirs"))
    };
    let public = text(&at("owner.pub"));
    let owner = PublicKey::parse(public.lines().nth(1).unwrap()).unwrap();
    let signed = sign("instar-release by the owner");
    assert_eq!(minisign::verify(MESSAGE, &signed, &[owner]), Ok(owner));
    assert!(minisign::verify(b"another", &signed, &[owner]).is_err());
    let foreign = minisign::verify(MESSAGE, &signed, &[signer().public()]);
    assert_eq!(foreign, Err(SignError::Foreign));
    let purpose = minisign::verify(MESSAGE, &sign("a backup"), &[owner]).unwrap_err();
    assert!(matches!(purpose, SignError::Namespace { .. }), "{purpose}");
}

const PYTHON: &str = r#"
import json, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

with open("ours.json") as file:
    ours = Envelope.from_dict(json.load(file))
key = SSlibKey("ours", "ed25519", "ed25519", {"public": sys.argv[1]})
# Its own hint is another than ours, and it goes by the hint.
for signature in list(ours.signatures.values()):
    signature.keyid = "ours"
    ours.signatures["ours"] = signature
ours.verify([key], 1)
ours.payload += b" "
try:
    ours.verify([key], 1)
    sys.exit("a changed payload was taken")
except Exception:
    pass

private = CryptoSigner(Ed25519PrivateKey.generate())
theirs = Envelope(b'{"their":"statement"}', "application/vnd.in-toto+json", {})
theirs.sign(private)
with open("theirs.json", "w") as file:
    json.dump(theirs.to_dict(), file)
with open("theirs.key", "w") as file:
    file.write(private.public_key.keyval["public"])
"#;

#[test]
fn securesystemslib_verifies_our_envelopes_and_we_verify_its() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let program = std::env::var("INSTAR_TEST_PYTHON").unwrap_or_else(|_| {
        let home = std::env::var("HOME").unwrap_or_default();
        format!("{home}/.cache/instar/python/bin/python")
    });
    let imports = ["-c", "import securesystemslib, cryptography"];
    let found = Command::new(&program).args(imports).output();
    if !found.is_ok_and(|output| output.status.success()) {
        skipped("no Python with securesystemslib; `cargo xtask test` installs it");
        return;
    }
    let ours = Envelope::sign(MESSAGE, signer().key());
    std::fs::write(at("ours.json"), ours.to_bytes().unwrap()).unwrap();
    let args = ["-c", PYTHON, &signer().public().hex()];
    let ran = run(&program, &args, folder.path(), &at("ours.json")).unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );

    let theirs = Envelope::read(&std::fs::read(at("theirs.json")).unwrap()).unwrap();
    // PEM: twelve bytes say that it is Ed25519, the rest is the key.
    let pem = text(&at("theirs.key"));
    let inside: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let key = if inside.is_empty() || pem.trim().len() == 64 {
        PublicKey::parse(pem.trim()).unwrap()
    } else {
        use base64::Engine as _;
        let der = base64::engine::general_purpose::STANDARD
            .decode(inside)
            .unwrap();
        PublicKey::parse(&hex::encode(&der[12..])).unwrap()
    };
    let (payload, signer_of) = theirs.verify(&[signer().public(), key]).unwrap();
    assert_eq!(
        (payload.as_slice(), signer_of),
        (&b"{\"their\":\"statement\"}"[..], key)
    );
    let foreign = theirs.verify(&[signer().public()]).unwrap_err();
    assert_eq!(foreign, SignError::Foreign);
}
