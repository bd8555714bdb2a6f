//! `instar gene` and `instar heal`.

use clap::Subcommand;
use std::path::PathBuf;

#[derive(Subcommand, Debug)]
pub(crate) enum Gene {
    /// List the recipes, with those of your own and the banned ones
    List,
    /// Show a recipe as it is read
    Show {
        /// Its id
        gene: String,
    },
    /// Bring a recipe from a file, in the place of one of the same id, or those of a skill
    Add {
        /// The file, as JSON
        #[arg(required_unless_present = "skill", conflicts_with = "skill")]
        file: Option<PathBuf>,
        /// A skill that brings recipes; what it would bring is shown
        #[arg(long, value_name = "NAME")]
        skill: Option<String>,
        /// The agent that has the skill
        #[arg(long, default_value = "main")]
        agent: String,
        /// Take up what the skill brings
        #[arg(long, requires = "skill")]
        yes: bool,
    },
    /// Never propose anything from a recipe again
    Ban {
        /// Its id
        gene: String,
    },
    /// Take a ban back
    Allow {
        /// Its id
        gene: String,
    },
}

#[derive(Subcommand, Debug)]
pub(crate) enum Heal {
    /// Show the trials of fixes: units with and without the fix, the evidence, the verdict
    Status,
    /// Say what each recipe would do about a fault, what is believed of it, or why it does nothing
    Explain {
        /// The fault, by its id
        fault: String,
        /// The agent that has it
        #[arg(long, default_value = "main")]
        agent: String,
    },
    /// Propose a fix for a fault as a candidate: the one that is believed in most, or one of your choice
    Try {
        /// The fault, by its id
        fault: String,
        /// The recipe
        #[arg(long, value_name = "ID")]
        gene: Option<String>,
        /// The agent that has it
        #[arg(long, default_value = "main")]
        agent: String,
    },
    /// Play recorded failures again with and without a fix, for a fault that is too rare for a trial; this proves nothing
    Rehearse {
        /// The fault, by its id
        fault: String,
        /// The recipe
        #[arg(long, value_name = "ID")]
        gene: Option<String>,
        /// The agent that has it
        #[arg(long, default_value = "main")]
        agent: String,
    },
}
