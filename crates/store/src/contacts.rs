//! People whom the owner wrote to first.

use instar_protocol::contact::Contact;
use instar_protocol::{RunId, SessionId, Timestamp};
use rusqlite::{Connection, Row, params};

use crate::apply::{change, millis, run_sql};
use crate::error::StoreError;
use crate::read::{all, column, rows, text, unsigned};
use crate::store::Store;

/// People that are kept. Further ones are not: whoever is not known is asked about.
pub const CONTACTS_MAX: usize = 5_000;

/// Keeps somebody; whoever is there already stays as he is.
pub(crate) fn put(connection: &Connection, contact: &Contact) -> Result<(), StoreError> {
    run_sql(
        connection,
        "INSERT INTO contacts (kind, text, tool, session, run, at)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM contacts) < ?7
         ON CONFLICT DO NOTHING",
        params![
            contact.kind,
            contact.text,
            contact.tool,
            contact.session.as_str(),
            contact.run.as_str(),
            millis(contact.at),
            rows(CONTACTS_MAX),
        ],
    )
}

/// Forgets somebody. The batch is refused if nobody is called that.
pub(crate) fn forget(connection: &Connection, name: &str) -> Result<(), StoreError> {
    change(
        connection,
        ("contact of that name:", name),
        "DELETE FROM contacts WHERE text = ?1",
        params![name],
    )
}

fn contact_row(row: &Row<'_>) -> Result<Contact, StoreError> {
    Ok(Contact {
        kind: text(row, 0)?,
        text: text(row, 1)?,
        tool: text(row, 2)?,
        session: SessionId::from_stored(text(row, 3)?),
        run: RunId::from_stored(text(row, 4)?),
        at: Timestamp::from_millis(unsigned(row.get(5).map_err(column)?)),
    })
}

impl Store {
    /// Everybody whom the owner wrote to first, the newest first.
    pub async fn contacts(&self) -> Result<Vec<Contact>, StoreError> {
        let wanted = "SELECT kind, text, tool, session, run, at FROM contacts ORDER BY seq DESC";
        self.read(move |sql| all(sql, wanted, [], contact_row))
            .await
    }
}
