//! Commands that the owner types as messages. They are answered without a model.

use instar_protocol::message::{Inbound, Part};
use instar_protocol::model::ModelRef;

/// A command, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    New,
    Reset,
    Stop,
    Status,
    Compact,
    Help,
    /// Answering a question is not for the conversation that asked it.
    Approve,
    /// `/model` shows the model in use.
    ShowModel,
    /// `/model default` goes back to the agent's own.
    SetModel(Option<ModelRef>),
    /// Looks like a command and is none; with the nearest one that is.
    Unknown {
        word: String,
        nearest: Option<&'static str>,
    },
    BadModel(String),
}

/// A conversation may be led by what it reads: no word in it answers a question.
const ELSEWHERE: &str = "Questions are not answered in a conversation. Answer on the approvals page of the gateway, \
     with `instar approvals` on its machine, or on a device that you paired for it.";

/// What is known of a command to those who complete or list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandHelp {
    /// Without its slash.
    pub name: &'static str,
    /// The argument's name and what may stand there.
    pub argument: Option<(&'static str, &'static str)>,
    pub about: &'static str,
}

const fn plain(name: &'static str, about: &'static str) -> CommandHelp {
    CommandHelp {
        name,
        argument: None,
        about,
    }
}

/// Every command, in the order in which `/help` lists them.
pub const COMMANDS: [CommandHelp; 8] = [
    plain(
        "new",
        "start over: the model no longer sees what was said before",
    ),
    plain("reset", "the same as /new"),
    plain("stop", "stop the turn that is running"),
    plain("status", "what is going on in this conversation"),
    CommandHelp {
        name: "model",
        argument: Some(("name", "provider/model, or default to go back")),
        about: "show the model; /model NAME changes it, /model default goes back",
    },
    plain(
        "compact",
        "replace the older part of the conversation by a summary",
    ),
    plain(
        "approve",
        "where the agent's questions are answered: not in a conversation",
    ),
    plain("help", "this list"),
];

fn help() -> String {
    let lines = COMMANDS.map(|command| format!("/{:<10} {}", command.name, command.about));
    lines.join("\n")
}

/// The answer to a command that needs to know nothing of the conversation.
pub(crate) fn fixed_answer(command: &Command) -> Option<String> {
    Some(match command {
        Command::Help => help(),
        Command::Approve => ELSEWHERE.to_owned(),
        Command::BadModel(name) => format!(
            "{name} is not the name of a model. Write provider/model, for example openai/gpt-5."
        ),
        Command::Unknown {
            word,
            nearest: Some(nearest),
        } => format!("There is no command /{word}. Did you mean /{nearest}?"),
        Command::Unknown { word, .. } => {
            format!("There is no command /{word}. /help lists those that there are.")
        }
        _ => return None,
    })
}

/// The answer to a command that need not wait for the running turn.
pub(crate) fn answer_beside(command: &Command, waiting: usize) -> Option<String> {
    match command {
        Command::Status => Some(format!(
            "A turn is running; {waiting} more messages wait. /stop ends it."
        )),
        other => fixed_answer(other),
    }
}

/// Reads a message as a command. Only the owner has commands; everybody else's text is text.
pub(crate) fn parse(inbound: &Inbound) -> Option<Command> {
    if !inbound.principal.is_owner() {
        return None;
    }
    let [Part::Text { text }] = inbound.parts.as_slice() else {
        return None;
    };
    let line = text.trim();
    let rest = line.strip_prefix('/')?;
    if rest.contains('\n') {
        return None;
    }
    let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let argument = argument.trim();
    let looks_like_one =
        (2..=16).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphabetic());
    if !looks_like_one {
        return None;
    }
    let word = word.to_ascii_lowercase();
    match (word.as_str(), argument) {
        ("model", "") => return Some(Command::ShowModel),
        ("model", name) => return Some(set_model(name)),
        ("approve" | "deny", _) => return Some(Command::Approve),
        (_, "") => {}
        // A path or a sentence that begins with a slash is no command.
        (other, _) if !COMMANDS.iter().any(|one| one.name == other) => return None,
        _ => {}
    }
    Some(match word.as_str() {
        "new" => Command::New,
        "reset" => Command::Reset,
        "stop" => Command::Stop,
        "status" => Command::Status,
        "compact" => Command::Compact,
        "help" => Command::Help,
        _ => Command::Unknown {
            nearest: nearest(&word),
            word,
        },
    })
}

fn set_model(name: &str) -> Command {
    if name.eq_ignore_ascii_case("default") {
        return Command::SetModel(None);
    }
    match ModelRef::parse(name) {
        Some(model) => Command::SetModel(Some(model)),
        None => Command::BadModel(name.chars().take(80).collect()),
    }
}

fn nearest(word: &str) -> Option<&'static str> {
    COMMANDS
        .iter()
        .map(|command| (distance(word, command.name), command.name))
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, name)| name)
}

/// Letters to add, drop or change, over words of at most sixteen letters.
fn distance(one: &str, two: &str) -> usize {
    let mut row: Vec<usize> = (0..=two.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, b) in two.bytes().enumerate() {
            let changed = corner + usize::from(a != b);
            corner = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(corner + 1);
        }
    }
    row[two.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_protocol::message::{OnRestart, Overrides};
    use instar_protocol::principal::Via;
    use instar_protocol::{AgentId, InboundId, Principal, SessionKey, Timestamp};

    fn read(text: &str, principal: Principal) -> Option<Command> {
        parse(&Inbound {
            id: InboundId::from_stored("inb_1"),
            session_key: SessionKey::main(&AgentId::main()),
            principal,
            received_at: Timestamp::default(),
            surface: "web".to_owned(),
            idempotency_key: None,
            parts: vec![Part::text(text)],
            on_restart: OnRestart::Resume,
            overrides: Overrides::default(),
        })
    }

    #[test]
    fn commands_are_read_and_text_is_left_alone() {
        let owner = || Principal::Owner { via: Via::Local };
        for (text, expected) in [
            ("/new", Some(Command::New)),
            (" /STOP \n", Some(Command::Stop)),
            ("/model", Some(Command::ShowModel)),
            (
                "/model a/b",
                Some(Command::SetModel(ModelRef::parse("a/b"))),
            ),
            ("/model default", Some(Command::SetModel(None))),
            ("/model gpt", Some(Command::BadModel("gpt".to_owned()))),
            (
                "/statsu",
                Some(Command::Unknown {
                    word: "statsu".to_owned(),
                    nearest: Some("status"),
                }),
            ),
            ("/approve", Some(Command::Approve)),
            ("/approve ask_1 allow-always", Some(Command::Approve)),
            ("/deny ask_1", Some(Command::Approve)),
            ("/etc/passwd", None),
            ("/home is where the heart is", None),
            ("/", None),
            ("see /new", None),
            ("/new\nline", None),
        ] {
            assert_eq!(read(text, owner()), expected, "{text:?}");
        }
        let contact = Principal::Contact { id: "c".to_owned() };
        assert_eq!(read("/stop", contact), None);
    }
}
