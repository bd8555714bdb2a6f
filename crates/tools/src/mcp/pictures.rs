//! Pictures in a server's results, shown like those of our own tools.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::picture::{PICTURE_BYTES_MAX, Picture, PictureError};

/// Pictures of one result; what is beyond is told and not shown.
const SHOWN_MAX: usize = 4;

/// True if a resource says that it is a picture. What it is its first bytes tell.
pub(super) fn is_meant(resource: &Value) -> bool {
    let kind = resource["mimeType"].as_str();
    kind.is_some_and(|kind| kind.starts_with("image/"))
}

/// Takes a picture in base 64 along, if it is fit to be shown; the words that stand for it in any case.
pub(super) fn take(data: &Value, name: &str, taken: &mut Vec<Picture>) -> String {
    if taken.len() >= SHOWN_MAX {
        return format!("[an image that is not shown: at most {SHOWN_MAX} of a result are]");
    }
    let name = format!("{name} {}", taken.len() + 1);
    match read(data.as_str().unwrap_or_default(), &name) {
        Ok(picture) => {
            let facts = picture.facts;
            let (width, height) = (facts.width, facts.height);
            let kind = facts.kind();
            taken.push(picture);
            format!("[{name}: a {kind} picture, {width} x {height}]")
        }
        Err(why) => format!("[an image that is not shown: {why}]"),
    }
}

fn read(data: &str, name: &str) -> Result<Picture, PictureError> {
    // What is too long is not decoded first.
    let bytes = data.len() / 4 * 3;
    if bytes > PICTURE_BYTES_MAX + 3 {
        return Err(PictureError::TooManyBytes(bytes));
    }
    let bytes = STANDARD.decode(data).map_err(|_| PictureError::Unknown)?;
    Picture::read(name, bytes)
}
