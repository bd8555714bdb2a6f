//! Whom the owner knows.

use instar_policy::Authority;
use instar_protocol::approval::visible;
use instar_protocol::contact::{Contact, Contacts};
use instar_store::Store;

use crate::api::queries::QueryError;

/// Everybody whom the owner wrote to first, and those whom he entered.
pub async fn contacts(store: &Store, authority: &Authority) -> Result<Contacts, QueryError> {
    let contacts = store.contacts().await?.into_iter().map(|one| Contact {
        text: visible(&one.text),
        ..one
    });
    Ok(Contacts {
        contacts: contacts.collect(),
        entered: authority.known.contacts.iter().cloned().collect(),
    })
}
