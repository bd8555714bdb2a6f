//! Objects that no row names any more are removed.
//!
//! An object is stored before the row that names it, so a young one is left alone: storing it, also
//! when it is there already, makes it young. Old ones are listed, every row is asked what it names,
//! and what nobody named goes, unless it became young meanwhile.

use std::collections::BTreeSet;

use instar_protocol::ObjectHash;
use rusqlite::{Connection, params};

use crate::error::StoreError;

/// Rows that one look reads at the most: a reader holds no snapshot for long.
const ROWS_MAX: u32 = 500;
/// What stands before the name of an object in a stored message.
const NAME: &str = "\"object\":\"";
const HASH_LENGTH: usize = 64;

/// What objects take up, and what was removed of it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Swept {
    pub removed: u64,
    pub removed_bytes: u64,
    pub kept: u64,
    pub kept_bytes: u64,
}

/// The tables whose rows may name objects, in the order in which a message goes through them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Inbox,
    Entries,
    Releases,
    Undo,
    Outputs,
    Candidates,
    Envelopes,
}

impl Place {
    pub(crate) const ALL: [Self; 7] = [
        Self::Inbox,
        Self::Entries,
        Self::Releases,
        Self::Undo,
        Self::Outputs,
        Self::Candidates,
        Self::Envelopes,
    ];

    fn sql(self) -> &'static str {
        match self {
            Self::Inbox => {
                "SELECT seq, body FROM inbox
                 WHERE seq > ?1 AND instr(body, '\"object\":\"') > 0 ORDER BY seq LIMIT ?2"
            }
            Self::Entries => {
                "SELECT seq, body FROM entries
                 WHERE seq > ?1 AND instr(body, '\"object\":\"') > 0 ORDER BY seq LIMIT ?2"
            }
            Self::Releases => {
                // The behaviour is an object under the id itself.
                "SELECT rowid, '\"object\":\"' || object || '\"object\":\"' || id FROM releases
                 WHERE rowid > ?1 ORDER BY rowid LIMIT ?2"
            }
            Self::Undo => {
                "SELECT seq, '\"object\":\"' || coalesce(before, '') || '\"object\":\"'
                     || coalesce(after, '') FROM undo WHERE seq > ?1 ORDER BY seq LIMIT ?2"
            }
            Self::Outputs => {
                "SELECT seq, '\"object\":\"' || object FROM kept_outputs
                 WHERE seq > ?1 ORDER BY seq LIMIT ?2"
            }
            Self::Candidates => {
                "SELECT seq, '\"object\":\"' || id || '\"object\":\"' || release FROM candidates
                 WHERE seq > ?1 ORDER BY seq LIMIT ?2"
            }
            Self::Envelopes => {
                "SELECT seq, '\"object\":\"' || object FROM envelopes
                 WHERE seq > ?1 ORDER BY seq LIMIT ?2"
            }
        }
    }
}

/// The objects that the next rows name.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) objects: BTreeSet<ObjectHash>,
    /// Where to go on; `None` at the end.
    pub(crate) next: Option<i64>,
}

/// Reads what rows of one table name, from behind `after`.
pub(crate) fn named(
    connection: &Connection,
    place: Place,
    after: i64,
) -> Result<Named, StoreError> {
    let failed = |source| StoreError::Sql {
        doing: "looking which objects are in use",
        source,
    };
    let mut statement = connection.prepare_cached(place.sql()).map_err(failed)?;
    let mut rows = statement.query(params![after, ROWS_MAX]).map_err(failed)?;
    let mut found = Named::default();
    while let Some(row) = rows.next().map_err(failed)? {
        found.next = Some(row.get(0).map_err(failed)?);
        let body = row.get_ref(1).and_then(|value| Ok(value.as_str()?));
        found.objects.extend(names(body.map_err(failed)?));
    }
    Ok(found)
}

/// The objects that a stored message names. Words of a person that look like a name are one, too:
/// rather kept than lost.
fn names(body: &str) -> impl Iterator<Item = ObjectHash> {
    body.match_indices(NAME).filter_map(|(at, _)| {
        let begin = at + NAME.len();
        let hash = body.get(begin..begin + HASH_LENGTH)?;
        Some(ObjectHash::from_hex(hash))
    })
}

#[cfg(test)]
mod tests {
    use super::names;
    use instar_protocol::ObjectHash;
    use instar_protocol::message::Part;

    #[test]
    fn every_part_that_holds_an_object_names_it_as_it_is_stored() {
        let object = |digit: &str| ObjectHash::from_hex(digit.repeat(64));
        let parts = [
            Part::text("\"object\":\"é"),
            Part::Image {
                object: object("a"),
                mime: "image/png".to_owned(),
            },
            Part::File {
                object: object("b"),
                name: "\"object\":\"".to_owned(),
                mime: "text/plain".to_owned(),
                text: "\"object\":\"".to_owned(),
            },
        ];
        let stored = serde_json::to_string(&parts).unwrap();
        let found: Vec<_> = names(&stored).collect();
        assert_eq!(found, [object("a"), object("b")]);
    }
}
