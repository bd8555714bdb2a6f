//! What goes along: links, files and codes that somebody else wrote are not passed on unasked.

use instar_protocol::Origin;

use crate::evidence::{Cell, Evidence};
use crate::links::pieces;
use crate::typed::{Kind, normal};

/// A piece of a payload that must not go along unasked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Carried {
    pub argument: String,
    pub piece: String,
    pub origin: Origin,
}

impl Evidence {
    /// The links, addresses and codes in a text that come from a stranger, or from nobody that can be
    /// named once a stranger has spoken.
    #[must_use]
    pub fn foreign_pieces(&self, argument: &str, text: &str, is_tainted: bool) -> Vec<Carried> {
        let mut foreign = Vec::new();
        for (piece, is_sentence) in pieces(text) {
            if self.is_own_piece(&piece) {
                continue;
            }
            let origin = match self.carried.get(&piece) {
                Some(Origin::Stranger) => Origin::Stranger,
                Some(_) => continue,
                // A system field vouches for it, or the model made it up.
                None if self.is_assigned(&piece) || !is_tainted || is_sentence => continue,
                None => Origin::Stranger,
            };
            foreign.push(Carried {
                argument: argument.to_owned(),
                piece,
                origin,
            });
        }
        foreign
    }

    fn is_own_piece(&self, piece: &str) -> bool {
        let kinds = [Kind::Url, Kind::Host, Kind::Address, Kind::Phone];
        let is_said = kinds.iter().any(|kind| {
            normal(*kind, piece).is_some_and(|typed| {
                self.words.has(&typed) || self.own.contains(&typed) || self.lists.contains(&typed)
            })
        });
        is_said || self.words.says(piece)
    }

    /// True if a system or party field holds exactly this. Where a stranger could have put it there, as
    /// an address that a search found, it vouches for nothing.
    fn is_assigned(&self, piece: &str) -> bool {
        self.rows.iter().flat_map(|row| &row.cells).any(|cell| {
            cell.role != crate::annotation::FieldRole::Text
                && !is_strangers_link(cell)
                && cell.typed.as_ref().is_some_and(|typed| typed.form == piece)
        })
    }
}

fn is_strangers_link(cell: &Cell) -> bool {
    matches!(cell.kind, Kind::Url | Kind::Host) && cell.origin == Origin::Stranger
}
