//! A systemd for one test: a user instance of its own, in a mount namespace that makes it believe
//! that the machine runs systemd.

use super::{Instar, skipped};

/// Credentials are mounted by a helper in a namespace below, so mounts have to come through.
const PRELUDE: &str = r#"
mount --make-rprivate / && mount --make-rshared /
mkdir -p /run/systemd && mount -t tmpfs none /run/systemd && mkdir -p /run/systemd/system
systemd --user 2>"$HOME/systemd.log" &
manager=$!
trap 'kill $manager; wait $manager' EXIT
for _ in $(seq 100); do systemctl --user show-environment >/dev/null 2>&1 && break; sleep 0.1; done
systemctl --user show-environment >/dev/null 2>&1 || { echo UNREACHABLE; exit 0; }
"#;

/// Runs a shell script beside such a systemd, with the binary as `$INSTAR`: what it printed, and its
/// errors. Says so and gives nothing where none can be started.
pub(crate) fn beside_systemd(instar: &Instar, script: &str) -> Option<(String, String)> {
    let runtime = tempfile::tempdir().unwrap();
    let script = format!("set -e\n{PRELUDE}{script}");
    let under = ["unshare", "--mount", "sh", "-c", &script].map(str::to_owned);
    let output = instar
        .command(&under, &[])
        .env(
            "PATH",
            format!("{}:/lib/systemd", std::env::var("PATH").unwrap()),
        )
        .env("XDG_RUNTIME_DIR", runtime.path())
        .env("INSTAR", env!("CARGO_BIN_EXE_instar"))
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            skipped(&format!("unshare: {error}"));
            return None;
        }
    };
    let [said, errors] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    if said.contains("UNREACHABLE") || errors.contains("unshare") || errors.contains("not found") {
        skipped(&format!(
            "no user instance of systemd can be started here: {errors}"
        ));
        return None;
    }
    Some((said, errors))
}
