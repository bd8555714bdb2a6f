//! Images and text files that callers send along: decoded, checked by their bytes, counted, stored.
//!
//! A caller's file name is only ever shown, never used as a path. Nothing is fetched: content that
//! is named by an address is refused, because fetching it would let a caller aim our requests.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use instar_protocol::message::Part;
use instar_store::{Store, StoreError};

/// The most images in one message.
pub const IMAGES_MAX: usize = 8;
/// The largest image, decoded.
pub const IMAGE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// All attachments of one request together, decoded.
pub const TOTAL_BYTES_MAX: usize = 20 * 1024 * 1024;
/// The largest text file, decoded.
pub const FILE_BYTES_MAX: usize = 5 * 1024 * 1024;
/// What of a text file is shown to the model; the whole file stays in the object store.
pub const FILE_CHARS_MAX: usize = 60_000;
/// The most text files in one message.
pub const FILES_MAX: usize = 8;
/// The longest file name that is kept.
const NAME_CHARS_MAX: usize = 120;

/// A piece of a message whose bytes are not stored yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Draft {
    Text(String),
    Image {
        mime: &'static str,
        bytes: Vec<u8>,
    },
    File {
        name: String,
        mime: String,
        bytes: Vec<u8>,
        text: String,
    },
}

/// Why an attachment was refused, worded for the caller.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    #[error("only data: URLs are accepted; content is never fetched from an address")]
    Remote,
    #[error("the data is not valid base 64")]
    Encoding,
    #[error("the data URL has no `;base64,` part")]
    DataUrl,
    #[error("the bytes are not a PNG, JPEG, GIF or WebP image")]
    NotAnImage,
    #[error("an image has {found} bytes; the limit is {IMAGE_BYTES_MAX}")]
    ImageTooLarge { found: usize },
    #[error("a message may carry at most {IMAGES_MAX} images")]
    TooManyImages,
    #[error("a message may carry at most {FILES_MAX} files")]
    TooManyFiles,
    #[error("a file has {found} bytes; the limit is {FILE_BYTES_MAX}")]
    FileTooLarge { found: usize },
    #[error("all attachments of one request may have at most {TOTAL_BYTES_MAX} bytes together")]
    TotalTooLarge,
    #[error("files of type {0:?} are not read; send plain text, Markdown, CSV, JSON, XML or YAML")]
    FileKind(String),
    #[error("the file is not UTF-8 text")]
    NotText,
}

/// Counts the attachments of one request against the limits.
#[derive(Debug)]
pub struct Allowance {
    images: usize,
    files: usize,
    bytes_left: usize,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            images: 0,
            files: 0,
            bytes_left: TOTAL_BYTES_MAX,
        }
    }
}

impl Allowance {
    /// Begins the next message: numbers of attachments count per message, bytes per request.
    pub fn next_message(&mut self) {
        self.images = 0;
        self.files = 0;
    }

    /// An image from a `data:` URL.
    pub fn image_url(&mut self, url: &str) -> Result<Draft, MediaError> {
        let data = DataUrl::parse(url)?;
        self.image(data.data)
    }

    /// An image from base 64. Its type is read from its bytes, never believed.
    pub fn image(&mut self, data: &str) -> Result<Draft, MediaError> {
        self.images += 1;
        if self.images > IMAGES_MAX {
            return Err(MediaError::TooManyImages);
        }
        let bytes = self.decode(data, IMAGE_BYTES_MAX, |found| MediaError::ImageTooLarge {
            found,
        })?;
        let mime = image_type(&bytes).ok_or(MediaError::NotAnImage)?;
        Ok(Draft::Image { mime, bytes })
    }

    /// A text file from base 64 or a `data:` URL.
    pub fn file(&mut self, name: &str, mime: &str, data: &str) -> Result<Draft, MediaError> {
        self.files += 1;
        if self.files > FILES_MAX {
            return Err(MediaError::TooManyFiles);
        }
        let (mime, data) = if data.starts_with("data:") {
            let url = DataUrl::parse(data)?;
            (url.mime, url.data)
        } else if is_address(data) {
            return Err(MediaError::Remote);
        } else {
            (mime, data)
        };
        let mime = text_type(mime, name)?;
        let bytes = self.decode(data, FILE_BYTES_MAX, |found| MediaError::FileTooLarge {
            found,
        })?;
        let text = std::str::from_utf8(&bytes).map_err(|_| MediaError::NotText)?;
        if text.contains('\0') {
            return Err(MediaError::NotText);
        }
        Ok(Draft::File {
            name: shown_name(name),
            mime,
            text: cut(text),
            bytes,
        })
    }

    fn decode(
        &mut self,
        data: &str,
        max: usize,
        too_large: fn(usize) -> MediaError,
    ) -> Result<Vec<u8>, MediaError> {
        let about = data.len() / 4 * 3;
        if about > max + 3 {
            return Err(too_large(about));
        }
        if about > self.bytes_left + 3 {
            return Err(MediaError::TotalTooLarge);
        }
        let bytes = STANDARD
            .decode(data)
            .or_else(|_| STANDARD_NO_PAD.decode(data))
            .map_err(|_| MediaError::Encoding)?;
        if bytes.len() > max {
            return Err(too_large(bytes.len()));
        }
        self.bytes_left = self
            .bytes_left
            .checked_sub(bytes.len())
            .ok_or(MediaError::TotalTooLarge)?;
        Ok(bytes)
    }
}

/// Puts the bytes into the object store and gives the message parts that name them.
pub async fn store_drafts(store: &Store, drafts: Vec<Draft>) -> Result<Vec<Part>, StoreError> {
    let mut parts = Vec::with_capacity(drafts.len());
    for draft in drafts {
        parts.push(match draft {
            Draft::Text(text) => Part::Text { text },
            Draft::Image { mime, bytes } => Part::Image {
                object: store.put_object(bytes).await?,
                mime: mime.to_owned(),
            },
            Draft::File {
                name,
                mime,
                bytes,
                text,
            } => Part::File {
                object: store.put_object(bytes).await?,
                name,
                mime,
                text,
            },
        });
    }
    Ok(parts)
}

struct DataUrl<'a> {
    mime: &'a str,
    data: &'a str,
}

impl<'a> DataUrl<'a> {
    fn parse(url: &'a str) -> Result<Self, MediaError> {
        let rest = url.strip_prefix("data:").ok_or(MediaError::Remote)?;
        let (head, data) = rest.split_once(',').ok_or(MediaError::DataUrl)?;
        let head = head.strip_suffix(";base64").ok_or(MediaError::DataUrl)?;
        Ok(Self {
            mime: head.split(';').next().unwrap_or_default(),
            data,
        })
    }
}

fn is_address(data: &str) -> bool {
    data.get(..16)
        .unwrap_or(data)
        .split_once("://")
        .is_some_and(|(scheme, _)| !scheme.is_empty())
}

/// The type that the first bytes prove.
fn image_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

/// The type of a file that may be read as text; a missing type is guessed from the name's ending.
fn text_type(mime: &str, name: &str) -> Result<String, MediaError> {
    const TEXT: [&str; 8] = [
        "application/json",
        "application/ld+json",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/toml",
        "application/javascript",
        "application/sql",
    ];
    let mime = mime.trim().to_ascii_lowercase();
    if mime.is_empty() || mime == "application/octet-stream" {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        return match ending.to_ascii_lowercase().as_str() {
            "txt" | "log" | "" => Ok("text/plain".to_owned()),
            "md" | "markdown" => Ok("text/markdown".to_owned()),
            "csv" => Ok("text/csv".to_owned()),
            "json" => Ok("application/json".to_owned()),
            "xml" => Ok("application/xml".to_owned()),
            "yaml" | "yml" => Ok("application/yaml".to_owned()),
            other => Err(MediaError::FileKind(other.chars().take(40).collect())),
        };
    }
    if mime.len() <= 100 && (mime.starts_with("text/") || TEXT.contains(&mime.as_str())) {
        Ok(mime)
    } else {
        Err(MediaError::FileKind(mime.chars().take(40).collect()))
    }
}

/// A name that is safe to show: the last path component without control characters.
fn shown_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = last
        .chars()
        .filter(|c| !c.is_control())
        .take(NAME_CHARS_MAX)
        .collect();
    let shown = shown.trim();
    if shown.is_empty() || shown == "." || shown == ".." {
        "file".to_owned()
    } else {
        shown.to_owned()
    }
}

/// The text up to the limit; a cut is visible to the model.
fn cut(text: &str) -> String {
    match text.char_indices().nth(FILE_CHARS_MAX) {
        None => text.to_owned(),
        Some((at, _)) => {
            let left = text[at..].chars().count();
            format!(
                "{}\n[cut here: {left} more characters were not shown]",
                &text[..at]
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = &[0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 1, 2];

    fn data_url(mime: &str, bytes: &[u8]) -> String {
        format!("data:{mime};base64,{}", STANDARD.encode(bytes))
    }

    #[test]
    fn the_type_of_an_image_is_read_from_its_bytes() {
        let mut allowance = Allowance::default();
        let image = allowance.image_url(&data_url("image/jpeg", PNG)).unwrap();
        assert_eq!(
            image,
            Draft::Image {
                mime: "image/png",
                bytes: PNG.to_vec()
            }
        );
        assert_eq!(
            allowance.image_url(&data_url("image/png", b"<svg onload=alert(1)>")),
            Err(MediaError::NotAnImage)
        );
    }

    #[test]
    fn addresses_are_refused_and_nothing_is_fetched() {
        let mut allowance = Allowance::default();
        for url in [
            "https://example.org/a.png",
            "http://169.254.169.254/",
            "file:///etc/passwd",
        ] {
            assert_eq!(allowance.image_url(url), Err(MediaError::Remote), "{url}");
            assert_eq!(
                allowance.file("a.txt", "text/plain", url),
                Err(MediaError::Remote),
                "{url}"
            );
        }
    }

    #[test]
    fn numbers_count_per_message_and_bytes_per_request() {
        let mut allowance = Allowance::default();
        let url = data_url("image/png", PNG);
        for _ in 0..IMAGES_MAX {
            allowance.image_url(&url).unwrap();
        }
        assert_eq!(allowance.image_url(&url), Err(MediaError::TooManyImages));
        allowance.next_message();
        allowance.image_url(&url).unwrap();

        let mut big = vec![0_u8; 9 * 1024 * 1024];
        big[..8].copy_from_slice(&PNG[..8]);
        let url = data_url("image/png", &big);
        allowance.image_url(&url).unwrap();
        allowance.image_url(&url).unwrap();
        assert_eq!(allowance.image_url(&url), Err(MediaError::TotalTooLarge));

        let mut huge = vec![0_u8; IMAGE_BYTES_MAX + 1];
        huge[..8].copy_from_slice(&PNG[..8]);
        assert!(matches!(
            Allowance::default().image_url(&data_url("image/png", &huge)),
            Err(MediaError::ImageTooLarge { .. })
        ));
    }

    #[test]
    fn a_file_name_is_shown_and_never_a_path() {
        for (given, shown) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\temp\\a.txt", "a.txt"),
            ("..", "file"),
            ("a\r\nb.txt", "ab.txt"),
            ("", "file"),
        ] {
            assert_eq!(shown_name(given), shown);
        }
    }

    #[test]
    fn a_long_file_is_cut_where_the_model_can_see_it() {
        let long = "ä".repeat(FILE_CHARS_MAX + 7);
        let draft = Allowance::default()
            .file("a.txt", "text/plain", &STANDARD.encode(&long))
            .unwrap();
        let Draft::File { text, bytes, .. } = draft else {
            panic!("not a file")
        };
        assert!(text.ends_with("[cut here: 7 more characters were not shown]"));
        assert_eq!(bytes.len(), long.len());
    }

    #[test]
    fn only_text_files_are_read() {
        let mut allowance = Allowance::default();
        assert!(matches!(
            allowance.file("a.pdf", "application/pdf", &STANDARD.encode("x")),
            Err(MediaError::FileKind(_))
        ));
        assert_eq!(
            allowance.file("a.txt", "text/plain", &STANDARD.encode([0xff, 0xfe])),
            Err(MediaError::NotText)
        );
        assert_eq!(
            allowance.file("a.txt", "text/plain", "%%%"),
            Err(MediaError::Encoding)
        );
        assert!(
            allowance
                .file("notes.md", "", &STANDARD.encode("# hi"))
                .is_ok()
        );
    }
}
