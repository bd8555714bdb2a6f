//! What happened: usage, releases, events.

use clap::{Args, Subcommand};

#[derive(Args, Debug)]
pub(crate) struct Usage {
    /// First day, 2026-11-01
    #[arg(long, value_name = "DAY")]
    pub(crate) from: Option<String>,
    /// Last day
    #[arg(long, value_name = "DAY")]
    pub(crate) to: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Release {
    #[command(flatten)]
    View(ReleaseView),
    /// Write a release with what was signed of it into a folder, in OCI image layout
    Export {
        /// Id, its beginning, `stable` or `stable~1`
        release: String,
        /// A new folder
        dir: std::path::PathBuf,
    },
    /// Take a release in from such a folder; it is verified first, and serves nobody
    Import {
        /// The folder
        dir: std::path::PathBuf,
        /// A file with a public key that is trusted for it, as OpenSSH or minisign write them
        #[arg(long = "key", value_name = "FILE")]
        keys: Vec<std::path::PathBuf>,
    },
    /// Write the statement of a release to be signed with a key of yours elsewhere, with our own signatures
    Statement {
        /// Id, its beginning, `stable` or `stable~1`
        release: String,
        /// A new file; beside it come our own signatures, `.gateway.sig` (`ssh-keygen -Y`) and `.gateway.minisig`
        file: std::path::PathBuf,
    },
    /// Keep your own signature upon a release, by one of the keys in the file `owner-keys`
    Endorse {
        /// Id, its beginning, `stable` or `stable~1`
        release: String,
        /// The signature that `ssh-keygen -Y sign -n instar-release` or `minisign -S` made
        #[arg(long, value_name = "FILE")]
        signature: std::path::PathBuf,
    },
    /// Go back to a release that was stable before; in force with the next turn of every conversation
    Rollback {
        /// Id, its beginning or `stable~2`; the release before the one in service if nothing is said
        #[arg(long, value_name = "RELEASE")]
        to: Option<String>,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// Sign the release in service again, as your own word (no gateway may run)
    Sign,
    /// The gateway's signing keys
    #[command(subcommand)]
    Keys(ReleaseKeys),
}

/// What is asked about releases, and answered in one piece.
#[derive(Subcommand, Debug)]
pub(crate) enum ReleaseView {
    /// List releases, the newest first
    List,
    /// Show one release
    Show {
        /// Id, its beginning, `stable` or `stable~1`
        #[arg(default_value = "stable")]
        release: String,
    },
    /// Show what changed between two releases
    Diff {
        /// The older
        #[arg(default_value = "stable~1")]
        from: String,
        /// The newer
        #[arg(default_value = "stable")]
        to: String,
    },
    /// Show when which release became stable, and why
    Log,
    /// Check what was signed of the release in service, and the history of what was
    Verify {
        /// Every release, statement and candidate, too
        #[arg(long)]
        all: bool,
        /// An end of the history that was noted earlier has to be part of it
        #[arg(long, value_name = "NUMBER:HASH")]
        noted: Option<String>,
    },
    /// Show where a release comes from: who proposed it, of what, what it was measured with, who signed
    Provenance {
        /// Id, its beginning, `stable` or `stable~1`
        #[arg(default_value = "stable")]
        release: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum ReleaseKeys {
    /// List the key that signs now, and those before it
    List,
    /// Hand over to a new key; what the old one signed until now still counts, and nothing after (no gateway may run)
    Rotate,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Candidate {
    /// Make a candidate from a file of deltas; nothing is served by it
    New {
        /// The release that it changes: an id, its beginning, `stable` or `stable~1`
        #[arg(long, value_name = "RELEASE", default_value = "stable")]
        from: String,
        /// A file with one delta as JSON or a list of them; `-` for standard input
        #[arg(long, value_name = "FILE")]
        delta: std::path::PathBuf,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// List candidates, the newest first
    List,
    /// Show what a candidate is made of, and how weighty it is
    Show {
        /// Its id or the beginning of it
        candidate: String,
    },
    /// Show what a candidate would change, and what newly becomes possible
    Diff {
        /// Its id or the beginning of it
        candidate: String,
    },
    /// Ask the gates of a candidate: form, reach, policy with a proof, secrets, skills, evals, red team
    Check {
        /// Its id or the beginning of it
        candidate: String,
    },
    /// Say yes to a candidate: it may then be served as far as its rollout speaks for it
    Approve {
        /// Its id or the beginning of it
        candidate: String,
    },
    /// Make a candidate anew upon what is stable now, where stable changed elsewhere
    Rebase {
        /// Its id or the beginning of it
        candidate: String,
    },
    /// Take a candidate back
    Withdraw {
        /// Its id or the beginning of it
        candidate: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Events {
    /// Print the newest events
    Tail {
        /// Stay and print new events as they come
        #[arg(long, short)]
        follow: bool,
        /// Only this kind, for example turn or error
        #[arg(long)]
        kind: Option<String>,
        /// How many to begin with
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
        lines: usize,
    },
}
