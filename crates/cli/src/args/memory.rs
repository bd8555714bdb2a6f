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
    /// Decide about notes that were proposed to be taken away
    #[command(subcommand)]
    Edit(NoteEdits),
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

#[derive(Subcommand, Debug)]
pub(crate) enum NoteEdits {
    /// List what was proposed, and what became of it
    List,
    /// Show one, with the exact text of the note
    Show {
        /// The proposal, or the beginning of its id
        edit: String,
    },
    /// Take the note out of its file
    Accept {
        /// The proposal, or the beginning of its id
        edit: String,
    },
    /// Leave the note where it is
    Refuse {
        /// The proposal, or the beginning of its id
        edit: String,
    },
    /// Put a note back that was taken away, with its label
    Undo {
        /// The proposal, or the beginning of its id
        edit: String,
    },
}
