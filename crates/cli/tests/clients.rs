//! Official clients of other protocols: small scripts in `clients/` that talk to the binary and print
//! what they saw.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Instar, TOKEN, skipped};

/// A script of `clients/`, with what runs it and the packages that it needs.
pub(crate) struct Script {
    program: PathBuf,
    modules: PathBuf,
    path: PathBuf,
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

impl Script {
    /// Says so if something is missing; the test then ends.
    pub(crate) fn find(name: &str, packages: &[&str]) -> Option<Self> {
        let modules = std::env::var_os("INSTAR_TEST_NODE_MODULES").map_or_else(
            || {
                let home = std::env::var_os("HOME").unwrap_or_default();
                Path::new(&home).join(".cache/instar/node/node_modules")
            },
            PathBuf::from,
        );
        for package in packages.iter().chain(&["node"]) {
            if !modules.join(package).join("package.json").exists() {
                skipped(&format!(
                    "{package} is not there; `cargo xtask test` installs it"
                ));
                return None;
            }
        }
        Some(Self {
            program: modules.join("node/bin/node"),
            modules,
            path: scripts().join(name),
        })
    }

    /// The folder of the packages.
    pub(crate) fn modules(&self) -> &Path {
        &self.modules
    }

    /// The same for a Python that has a module.
    pub(crate) fn find_python(name: &str, module: &str) -> Option<Self> {
        let program = std::env::var_os("INSTAR_TEST_PYTHON").map_or_else(
            || {
                let home = std::env::var_os("HOME").unwrap_or_default();
                Path::new(&home).join(".cache/instar/python/bin/python")
            },
            PathBuf::from,
        );
        let import = format!("import {module}");
        let found = Command::new(&program).args(["-c", &import]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            skipped(&format!(
                "no Python with {module}; `cargo xtask test` installs it"
            ));
            return None;
        }
        Some(Self {
            program,
            modules: PathBuf::new(),
            path: scripts().join(name),
        })
    }

    /// Runs it beside a gateway and gives what it printed.
    #[track_caller]
    pub(crate) fn run(&self, instar: &Instar, more: Value) -> Value {
        let mut input = json!({
            "modules": self.modules,
            "binary": env!("CARGO_BIN_EXE_instar"),
            "url": instar.url(),
            "token": TOKEN,
            "env": {
                "PATH": std::env::var("PATH").unwrap_or_default(),
                "HOME": instar.home(),
                "INSTAR_STATE_DIR": instar.state,
            },
        });
        crate::support::merge(&mut input, more);
        let output = Command::new(&self.program)
            .arg(&self.path)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", instar.home())
            .env("INSTAR_CLIENT_INPUT", input.to_string())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{}: {complained}",
            self.path.display()
        );
        let found: Result<Value, _> = serde_json::from_str(&said);
        assert!(found.is_ok(), "printed {said:?} and {complained}");
        found.unwrap()
    }
}
