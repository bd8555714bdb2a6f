//! `instar secrets` and `instar token`.

use instar_config::SecretStore;
use instar_protocol::Secret;
use serde_json::json;
use std::io::{IsTerminal, Read};

use crate::args::{Secrets, Token};
use crate::context::{Context, environment};
use crate::failure::{Code, Failure};
use crate::keyboard::Keyboard;

const SECRET_BYTES_MAX: u64 = 64 << 10;

pub(crate) async fn run(command: &Secrets, run: &Context) -> anyhow::Result<()> {
    let state = run.state()?;
    state.prepare()?;
    let store = SecretStore::open(&state, &environment)?;
    match command {
        Secrets::Set { name } => {
            let value = read_secret(&format!("value of {name}: "), run).await?;
            store.set(name, &value)?;
            if run.out.json() {
                return run.out.value(&json!({ "source": "store", "id": name }));
            }
            let reference = format!("{{source: \"store\", id: \"{name}\"}}");
            run.out.note(&format!(
                "stored; the configuration refers to it as {reference}"
            ));
        }
        Secrets::List => {
            let names = store.names()?;
            if run.out.json() {
                return run.out.value(&names);
            }
            if names.is_empty() {
                run.out
                    .note("the store is empty; add a key with `instar secrets set openai`");
            }
            for name in names {
                run.out.line(&name);
            }
        }
        Secrets::Remove { name } => {
            if !store.remove(name)? {
                let message = format!("there is no secret {name} in the store");
                return Err(Failure::new(Code::NotFound, message)
                    .next("see the names with `instar secrets list`")
                    .into());
            }
            if run.out.json() {
                return run.out.value(&json!({ "removed": name }));
            }
            run.out.note(&format!("removed {name}"));
        }
        Secrets::Protect => {
            let first = read_secret("new passphrase: ", run).await?;
            store.protect(&first)?;
            if run.out.json() {
                return run.out.value(&json!({ "protected": true }));
            }
            run.out.note(
                "the store is locked; give the gateway the passphrase through INSTAR_PASSPHRASE_FILE",
            );
        }
    }
    Ok(())
}

pub(crate) fn token(command: &Token, run: &Context) -> anyhow::Result<()> {
    let state = run.state()?;
    state.prepare()?;
    let (token, note) = match command {
        Token::Rotate => (
            instar_gateway::door::rotate_token(&state)?,
            "the new API token, shown this once; the old one stops working within a second:",
        ),
        Token::Take => {
            let store = SecretStore::open(&state, &environment)?;
            let token = instar_gateway::rotation::take(&store)?.ok_or_else(|| {
                Failure::new(Code::NotFound, "no token waits to be taken")
                    .next("`instar token rotate` makes a new one now")
            })?;
            (
                token,
                "the API token that was made on schedule, shown this once:",
            )
        }
    };
    if run.out.json() {
        return run.out.value(&json!({ "token": token.expose() }));
    }
    run.out.note(note);
    run.out.line(token.expose());
    Ok(())
}

/// Reads from standard input; on a terminal without showing what is typed.
async fn read_secret(prompt: &str, run: &Context) -> anyhow::Result<Secret> {
    let stdin = std::io::stdin();
    let text = if stdin.is_terminal() {
        let mut keyboard = Keyboard::open()?;
        run.out.ask(prompt);
        let typed = keyboard.line(true).await?;
        typed.ok_or_else(|| Failure::new(Code::Failed, "stopped; nothing was stored"))?
    } else {
        let mut text = String::new();
        let _read = stdin
            .lock()
            .take(SECRET_BYTES_MAX)
            .read_to_string(&mut text)?;
        text
    };
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Failure::new(Code::Usage, "an empty secret is not stored")
            .next("pipe it in (`instar secrets set NAME < file`) or type it at the prompt")
            .into());
    }
    Ok(Secret::new(text))
}
