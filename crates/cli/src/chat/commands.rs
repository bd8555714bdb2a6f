//! What a slash begins: the gateway's commands, and those of this client.

use instar_gateway::COMMANDS;

/// A command as the completion shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) argument: Option<&'static str>,
    pub(crate) about: &'static str,
    pub(crate) own: Option<Own>,
}

/// Commands that this client carries out itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    Sessions,
    Models,
    Questions,
    Chat,
    Retry,
    Edit,
    Branch,
    Fold,
    Keys,
    Quit,
}

const fn own(name: &'static str, about: &'static str, own: Own) -> Known {
    Known {
        name,
        argument: None,
        about,
        own: Some(own),
    }
}

const OWN: [Known; 10] = [
    own(
        "sessions",
        "choose another conversation (Ctrl-O)",
        Own::Sessions,
    ),
    own(
        "models",
        "choose the model of this conversation (Ctrl-P)",
        Own::Models,
    ),
    own(
        "questions",
        "what waits for your answer (F3)",
        Own::Questions,
    ),
    own(
        "chat",
        "begin a conversation beside this one (Ctrl-N)",
        Own::Chat,
    ),
    own(
        "retry",
        "another answer to the last message (Ctrl-R)",
        Own::Retry,
    ),
    own(
        "edit",
        "write the last message in another form (Ctrl-G)",
        Own::Edit,
    ),
    own(
        "branch",
        "go over to the next branch (Alt-Up, Alt-Down)",
        Own::Branch,
    ),
    own(
        "fold",
        "fold or unfold tools and reasoning (Ctrl-T)",
        Own::Fold,
    ),
    own("keys", "show the keys (F1)", Own::Keys),
    own("quit", "leave; the gateway goes on (Ctrl-D)", Own::Quit),
];

/// All commands, those of the gateway first.
pub(crate) fn all() -> impl Iterator<Item = Known> {
    let gateway = COMMANDS.iter().map(|command| Known {
        name: command.name,
        argument: command.argument.map(|(name, _)| name),
        about: command.about,
        own: None,
    });
    gateway.chain(OWN)
}

/// What the beginning of a line may become. Nothing once the word is over.
pub(crate) fn completions(line: &str) -> Vec<Known> {
    match line.strip_prefix('/') {
        Some(word) if !word.contains(char::is_whitespace) => {
            let word = word.to_ascii_lowercase();
            all().filter(|one| one.name.starts_with(&word)).collect()
        }
        _ => Vec::new(),
    }
}

/// A line that this client carries out itself.
pub(crate) fn own_command(line: &str) -> Option<Own> {
    let word = line.trim().strip_prefix('/')?.to_ascii_lowercase();
    OWN.into_iter().find(|one| one.name == word)?.own
}
