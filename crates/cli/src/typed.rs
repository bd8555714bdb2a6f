//! Mistakes in what was typed, said like every other failure: what is wrong, and what to do.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::failure::{Code, Failure};

/// The mistake; `None` if help or the version was asked for, which print themselves.
pub(crate) fn failure(error: &clap::Error) -> Option<Failure> {
    let asked_for = matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::DisplayVersion
    );
    if asked_for {
        return None;
    }
    Some(Failure::new(Code::Usage, message(error)).next(next_step(error)))
}

/// The parser's own words up to its advice, on one line.
fn message(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let said = text.split("\n\n").next().unwrap_or_default();
    let said = said.strip_prefix("error: ").unwrap_or(said);
    let words: Vec<&str> = said.split_whitespace().collect();
    words.join(" ")
}

fn next_step(error: &clap::Error) -> String {
    let near = [
        ContextKind::SuggestedSubcommand,
        ContextKind::SuggestedArg,
        ContextKind::SuggestedValue,
    ]
    .into_iter()
    .find_map(|kind| match error.get(kind)? {
        ContextValue::String(word) => Some(word.clone()),
        // The likeliest comes last.
        ContextValue::Strings(words) => words.last().cloned(),
        _ => None,
    });
    if let Some(near) = near {
        return format!("did you mean `{near}`?");
    }
    let usage = error.get(ContextKind::Usage).map(ToString::to_string);
    match usage
        .as_deref()
        .and_then(|text| text.strip_prefix("Usage: "))
    {
        Some(usage) => format!("write it like `{usage}`; `instar help` says more"),
        None => "see `instar help`".to_owned(),
    }
}

/// The known word that was probably meant.
pub(crate) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(typed, word), word))
        .min()
        .filter(|(distance, _)| *distance <= 2)
        .map(|(_, word)| word)
}
