//! Words in what was said. Needs no running gateway.

use instar_protocol::api::{SearchHit, SearchReport};
use instar_protocol::message::{EntryBody, plain_text};
use instar_protocol::session::AgentId;
use instar_store::{Found, Store, TextSearch};
use serde::Deserialize;

use super::queries::{QueryError, page};

/// Rows when nobody says how many, and the most.
const FOUND: usize = 20;
const FOUND_MAX: usize = 200;
pub(crate) const TEXT_BYTES_MAX: usize = 200;
/// Characters of an excerpt before the words, and in all.
const BEFORE: usize = 40;
const EXCERPT: usize = 160;

/// What is looked for. Also the query string of `GET /search`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    pub text: String,
    #[serde(default)]
    pub agent: Option<String>,
    #[serde(default)]
    pub limit: Option<usize>,
}

/// What people and agents said, with these words in it, the latest first.
pub async fn search(store: &Store, query: &SearchQuery) -> Result<SearchReport, QueryError> {
    let limit = page("limit", query.limit, FOUND, FOUND_MAX)?;
    let text = query.text.trim();
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return Err(QueryError::Invalid {
            param: "text",
            why: format!("1 to {TEXT_BYTES_MAX} bytes"),
        });
    }
    let agent = query.agent.as_deref().map(AgentId::parse).transpose();
    let agent = agent.map_err(|error| QueryError::Invalid {
        param: "agent",
        why: error.to_string(),
    })?;
    let found = store
        .search(TextSearch {
            text: text.to_owned(),
            agent,
            keys: Vec::new(),
            limit,
        })
        .await?;
    let hits = found.entries.into_iter().map(|found| {
        let Found {
            key,
            entry,
            is_current,
        } = found;
        let (by_agent, said) = match &entry.body {
            EntryBody::Assistant { text, .. } => (true, text.clone()),
            EntryBody::User { parts, .. } => (false, plain_text(parts)),
            // The search looks at nothing else.
            _ => (false, String::new()),
        };
        SearchHit {
            session: key.to_string(),
            entry: entry.id,
            at: entry.at,
            by_agent,
            current: is_current,
            excerpt: excerpt(&said, text),
        }
    });
    Ok(SearchReport {
        found: hits.collect(),
        cut: found.is_cut,
    })
}

/// Some of the text around the first place where the words stand.
fn excerpt(said: &str, words: &str) -> String {
    let line: Vec<char> = said
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .collect();
    let wanted: Vec<char> = words.to_lowercase().chars().collect();
    let at = (0..line.len()).find(|&at| begins(&line[at..], &wanted).is_some());
    let from = at.unwrap_or(0).saturating_sub(BEFORE);
    let to = (from + EXCERPT).min(line.len());
    let mut text: String = line[from..to].iter().collect();
    if from > 0 {
        text.insert(0, '…');
    }
    if to < line.len() {
        text.push('…');
    }
    text
}

/// How many letters of the text are the wanted ones, if it begins with them. Lower case may be longer
/// than what it is the lower case of: compared letter by letter.
fn begins(text: &[char], wanted: &[char]) -> Option<usize> {
    let mut left = wanted;
    for (at, letter) in text.iter().enumerate() {
        if left.is_empty() {
            return Some(at);
        }
        for small in letter.to_lowercase() {
            match left.split_first() {
                Some((first, rest)) if *first == small => left = rest,
                // The words end within a letter.
                None => break,
                Some(_) => return None,
            }
        }
    }
    left.is_empty().then_some(text.len())
}

/// The text cut where the words stand in it: each piece, and whether it is them.
pub(crate) fn pieces(text: &str, words: &str) -> Vec<(String, bool)> {
    let letters: Vec<char> = text.chars().collect();
    let wanted: Vec<char> = words.trim().to_lowercase().chars().collect();
    let (mut cut, mut between, mut at) = (Vec::new(), String::new(), 0);
    while at < letters.len() {
        let length = begins(&letters[at..], &wanted).filter(|length| *length > 0);
        let Some(length) = length else {
            between.push(letters[at]);
            at += 1;
            continue;
        };
        cut.push((std::mem::take(&mut between), false));
        cut.push((letters[at..at + length].iter().collect(), true));
        at += length;
    }
    cut.push((between, false));
    cut.retain(|(piece, _)| !piece.is_empty());
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_marked_wherever_they_stand_in_any_case() {
        let told = |text, words| {
            let pieces = pieces(text, words).into_iter();
            let marked =
                pieces.map(|(piece, is_them)| if is_them { format!("[{piece}]") } else { piece });
            marked.collect::<String>()
        };
        assert_eq!(
            told("The Heron saw a heron", "heron"),
            "The [Heron] saw a [heron]"
        );
        assert_eq!(told("Цапля и цапля", " ЦАПЛЯ "), "[Цапля] и [цапля]");
        assert_eq!(told("İstanbul", "i"), "[İ]stanbul");
        assert_eq!(told("aaa", "aa"), "[aa]a");
        assert_eq!(told("none", "heron"), "none");
        assert_eq!(told("none", ""), "none");
    }

    #[test]
    fn an_excerpt_shows_the_words_and_is_short() {
        assert_eq!(excerpt("Hello\nWorld", "world"), "Hello World");
        let long = format!("{}İstanbul NEEDLE{}", "a ".repeat(400), " b".repeat(400));
        let found = excerpt(&long, "needle");
        assert!(found.contains("NEEDLE") && found.chars().count() <= EXCERPT + 2);
        assert!(found.starts_with('…') && found.ends_with('…'));
    }
}
