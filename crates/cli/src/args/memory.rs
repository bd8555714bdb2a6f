//! `instar memory`.

use clap::Subcommand;

#[derive(Subcommand, Debug)]
pub(crate) enum Memory {
    /// List the files of notes
    List {
        /// Whose; the default agent's when left out
        #[arg(long, value_name = "AGENT")]
        agent: Option<String>,
    },
    /// Find notes by their words
    Search {
        /// A few words
        query: String,
        /// Whose; the default agent's when left out
        #[arg(long, value_name = "AGENT")]
        agent: Option<String>,
        /// At most so many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 6)]
        limit: usize,
    },
    /// Show a file of notes, with who wrote each
    Show {
        /// As the list names it, or a day like 2026-11-22
        path: String,
        /// Whose; the default agent's when left out
        #[arg(long, value_name = "AGENT")]
        agent: Option<String>,
    },
    /// Look at notes of candidates that were taken back; nobody reads them but you
    #[command(subcommand)]
    Quarantine(Quarantine),
}

#[derive(Subcommand, Debug)]
pub(crate) enum Quarantine {
    /// List the notes
    List,
    /// Show one note
    Show {
        /// The note, or the beginning of its id
        note: String,
    },
    /// Put a note among the others, as its writer's
    Restore {
        /// The note, or the beginning of its id
        note: String,
    },
    /// Forget a note for good
    Drop {
        /// The note, or the beginning of its id
        note: String,
    },
}
