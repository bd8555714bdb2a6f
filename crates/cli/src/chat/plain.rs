//! `instar chat` without a terminal: lines in, answers out.

use std::io::BufRead as _;

use crate::args::{Agent, Chat};
use crate::commands::agent;
use crate::context::Context;
use crate::failure::{Code, Failure};

/// The longest line that is taken.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// Sends each line of standard input and prints its answer before the next is read. A line that is
/// not answered ends it, with that line's exit code.
pub(crate) async fn run(command: &Chat, run: &Context) -> anyhow::Result<()> {
    let mut input = std::io::stdin().lock();
    while let Some(line) = next(&mut input)? {
        if line.trim().is_empty() {
            continue;
        }
        let message = Agent {
            message: String::new(),
            session: command.session.clone(),
            model: command.model.clone(),
        };
        agent::say(&message, line, run).await?;
    }
    Ok(())
}

fn next(input: &mut impl std::io::BufRead) -> anyhow::Result<Option<String>> {
    use std::io::Read as _;
    let mut line = Vec::new();
    let read = input
        .take(LINE_BYTES_MAX + 1)
        .read_until(b'\n', &mut line)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > LINE_BYTES_MAX {
        return Err(Failure::new(Code::Usage, "a line has more than 1 MiB").into());
    }
    if read == 0 {
        return Ok(None);
    }
    let line = String::from_utf8(line)
        .map_err(|_| Failure::new(Code::Usage, "standard input is not UTF-8 text"))?;
    Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned()))
}
