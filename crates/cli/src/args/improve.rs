//! `instar fault` and `instar lab`.

use clap::{Args, Subcommand};

#[derive(Subcommand, Debug)]
pub(crate) enum Fault {
    /// List what goes wrong, the latest first
    List {
        /// Also those that are muted
        #[arg(long)]
        all: bool,
    },
    /// Show a fault: its text, examples, rates by day, release and arm, whom it reached
    Show {
        /// Its id or the beginning of it
        fault: String,
    },
    /// Count a fault as a part of another; `split` takes it out again
    Merge {
        /// The fault that goes into the other
        fault: String,
        /// The fault that it goes into
        into: String,
    },
    /// Take a fault out of the one that it was merged into
    Split {
        /// Its id or the beginning of it
        fault: String,
    },
    /// Tell the failures of a fault apart, each kind with a fault of its own from now on
    Divide(Divide),
    /// Tell the failures of a divided fault apart no more; its parts count as parts of it
    Unite {
        /// Its id or the beginning of it
        fault: String,
    },
    /// Faults that an embedder of yours takes for one (`improve.embedder`): yours to say
    #[command(subcommand)]
    Merges(Merges),
    /// Keep a fault off the list
    Mute {
        /// Its id or the beginning of it
        fault: String,
        /// Put it back on the list
        #[arg(long)]
        off: bool,
    },
    /// Give a fault a name of yours; an empty one goes back to its text
    Name {
        /// Its id or the beginning of it
        fault: String,
        /// The name
        #[arg(default_value = "")]
        name: String,
    },
    /// Show what was changed in the register of faults, and by whom
    Log,
}

#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("by").required(true)))]
pub(crate) struct Divide {
    /// Its id or the beginning of it
    pub(crate) fault: String,
    /// By the value at this place of its template, counted from 1
    #[arg(long, group = "by", value_name = "PLACE", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) by_value: Option<u16>,
    /// By the names of the call's arguments
    #[arg(long, group = "by")]
    pub(crate) by_arguments: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Merges {
    /// List what is proposed, the most alike first
    List,
    /// Merge the two
    Accept {
        /// The fault that goes into the other
        fault: String,
        /// The fault that it goes into
        into: String,
    },
    /// Say that they are two; they are not proposed again
    Refuse {
        /// The one
        fault: String,
        /// The other
        into: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Lab {
    /// Read the events since the last cycle and find faults in them; without a gateway, one runs meanwhile
    Run(LabRun),
    /// Show how the last cycle went
    Status,
    /// Write what is known as the files of the exchange: `assets/gep` and `memory` in a folder
    Export {
        /// The folder; files of an earlier export are replaced
        dir: std::path::PathBuf,
    },
    /// Read such a folder of another engine: say what of it is to be believed, and keep that; nothing in it is run
    Import {
        /// The folder with `assets/gep`
        dir: std::path::PathBuf,
        /// Only say it
        #[arg(long)]
        dry_run: bool,
    },
    /// Let jobs with the walls of the lab and of the judge try what those may not do, and say how each went
    Walls,
    /// Drop what was kept of folders of other engines; recipes that you allowed stay
    Forget,
    /// List cycles, the newest first
    Log {
        /// How many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
        lines: usize,
    },
}

#[derive(Args, Debug)]
pub(crate) struct LabRun {
    /// Go on with cycles until interrupted
    #[arg(long = "loop")]
    pub(crate) repeat: bool,
    /// Ask about each candidate before it goes on; without a terminal they wait
    #[arg(long)]
    pub(crate) review: bool,
    /// Also when the machine is busy
    #[arg(long)]
    pub(crate) at_any_load: bool,
}
