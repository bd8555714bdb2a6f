//! What a message holds: a text, or pieces in the form of its API.

use serde::Deserialize;

use crate::api::media::{Allowance, Draft};
use crate::openai::problem::Problem;

#[derive(Deserialize, Debug)]
#[serde(untagged)]
pub(crate) enum Content<P> {
    Text(String),
    Parts(Vec<P>),
}

/// A piece in the form of one API.
pub(crate) trait Piece {
    /// Its text, where only text is taken.
    fn text(self) -> Option<String>;

    /// What it adds to a person's message. `at` names it in errors.
    fn draft(self, at: String, allowance: &mut Allowance) -> Result<Draft, Problem>;
}

impl<P: Piece> Content<P> {
    /// The content of a role that writes nothing but text.
    pub(crate) fn text_only(at: &str, content: Option<Self>) -> Result<String, Problem> {
        let pieces = match content {
            None => return Ok(String::new()),
            Some(Self::Text(text)) => return Ok(text),
            Some(Self::Parts(pieces)) => pieces,
        };
        let texts: Vec<String> = pieces
            .into_iter()
            .enumerate()
            .map(|(index, piece)| {
                piece.text().ok_or_else(|| {
                    Problem::invalid(
                        format!("{at}.content[{index}]"),
                        "this role's content has to be text",
                    )
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(texts.join("\n"))
    }

    /// The content of a person's message.
    pub(crate) fn drafts(
        at: &str,
        content: Option<Self>,
        allowance: &mut Allowance,
    ) -> Result<Vec<Draft>, Problem> {
        let pieces = match content {
            None => return Ok(Vec::new()),
            Some(Self::Text(text)) => return Ok(vec![Draft::Text(text)]),
            Some(Self::Parts(pieces)) => pieces,
        };
        pieces
            .into_iter()
            .enumerate()
            .map(|(index, piece)| piece.draft(format!("{at}.content[{index}]"), allowance))
            .collect()
    }
}
