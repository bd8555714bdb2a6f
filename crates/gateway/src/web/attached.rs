//! Attachments of a message, as a browser may have them.

use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use instar_protocol::EntryId;
use instar_protocol::message::{EntryBody, Part};
use serde::Deserialize;

use super::rooms::encoded;
use crate::api::queries::find_session;
use crate::app::AppState;
use crate::door::Caller;
use crate::problem::ApiProblem;

/// Images that a browser shows by itself and that cannot run anything.
const IMAGES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    session: String,
    entry: String,
    part: usize,
}

/// One attachment, through the entry that holds it: a hash alone opens nothing.
pub(super) async fn attached(
    State(app): State<AppState>,
    _caller: Caller,
    Query(asked): Query<Asked>,
) -> Result<Response, ApiProblem> {
    let missing = || ApiProblem::not_found("there is no such attachment");
    let row = find_session(&app.store, &asked.session).await?;
    let entry = EntryId::from_stored(&asked.entry);
    let found = app.store.branch(&row.id, Some(entry), 1).await?;
    let (object, kind, named) = match found.first().map(|entry| &entry.body) {
        Some(EntryBody::User { parts, .. }) => match parts.get(asked.part) {
            Some(Part::Image { object, mime }) => (object, image(mime), None),
            Some(Part::File { object, name, .. }) => {
                (object, "text/plain; charset=utf-8", Some(name))
            }
            Some(Part::Text { .. }) | None => return Err(missing()),
        },
        Some(EntryBody::ToolResult { pictures, .. }) => {
            let picture = pictures.get(asked.part).ok_or_else(missing)?;
            (&picture.object, image(&picture.mime), None)
        }
        _ => return Err(missing()),
    };
    let bytes = app.store.object(object).await?;
    let place = match named {
        // Text is never opened as a page of ours, whatever is in it.
        Some(name) => format!(
            "attachment; filename*=UTF-8''{}",
            encoded(name).replace('+', "%20")
        ),
        None => "inline".to_owned(),
    };
    let place = HeaderValue::from_str(&place).map_err(|_| ApiProblem::internal())?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, place),
        // It is named by what it holds, and never changes.
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("private, max-age=86400, immutable"),
        ),
    ];
    Ok((headers, bytes).into_response())
}

/// The type that an image is sent as: one of ours, or none that a browser would open.
fn image(mime: &str) -> &'static str {
    IMAGES
        .into_iter()
        .find(|known| *known == mime)
        .unwrap_or("application/octet-stream")
}
