//! What a name from outside may be: parts below a root, nothing else.

/// Longest name of one part, in bytes: what common file systems take.
pub const NAME_BYTES_MAX: usize = 255;
/// Longest whole name, in bytes.
pub const PATH_BYTES_MAX: usize = 4_000;
/// Most parts of a name.
pub const DEPTH_MAX: usize = 64;

/// A checked relative path. It cannot be absolute, climb, hold a NUL or be a URL.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Inside {
    parts: Vec<String>,
}

/// Why a name is none, worded for whoever gave it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    #[error("the path is empty: name a file in the workspace")]
    Empty,
    #[error("the path is absolute: give it relative to the workspace, without the leading slash")]
    Absolute,
    #[error("the path holds `..`: only what is inside the workspace can be named")]
    Climbs,
    #[error("the path holds a control character")]
    Control,
    #[error("the path is longer than {PATH_BYTES_MAX} bytes")]
    Long,
    #[error("a part of the path is longer than {NAME_BYTES_MAX} bytes")]
    LongPart,
    #[error("the path has more than {DEPTH_MAX} parts")]
    Deep,
    #[error("the path is an address: only files of the workspace can be named")]
    Address,
    #[error("the path names a device")]
    Device,
}

impl Inside {
    /// Checks a name from outside. `.` and doubled slashes are dropped; all else stays as it was.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        if name.len() > PATH_BYTES_MAX {
            return Err(NameError::Long);
        }
        if name.chars().any(char::is_control) {
            return Err(NameError::Control);
        }
        if name.starts_with('/') {
            return Err(NameError::Absolute);
        }
        if name.contains("://") {
            return Err(NameError::Address);
        }
        let mut parts = Vec::new();
        for part in name.split('/').filter(|part| !part.is_empty()) {
            check_part(part)?;
            if part != "." {
                parts.push(part.to_owned());
            }
        }
        // On what is left, so that a `./` in front hides nothing.
        if parts.first().is_some_and(|first| foreign_absolute(first)) {
            return Err(NameError::Absolute);
        }
        if parts.first().is_some_and(|first| scheme(first)) {
            return Err(NameError::Address);
        }
        match parts.len() {
            0 if name.is_empty() => Err(NameError::Empty),
            count if count > DEPTH_MAX => Err(NameError::Deep),
            _ => Ok(Self { parts }),
        }
    }

    /// The root itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// One more part below this; `name` must be one part.
    pub fn join(&self, name: &str) -> Result<Self, NameError> {
        let below = Self::parse(name)?;
        if below.parts.len() != 1 {
            return Err(NameError::Climbs);
        }
        let mut parts = self.parts.clone();
        parts.extend(below.parts);
        if parts.len() > DEPTH_MAX {
            return Err(NameError::Deep);
        }
        Ok(Self { parts })
    }

    #[must_use]
    pub fn is_root(&self) -> bool {
        self.parts.is_empty()
    }

    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// The last part; none for the root.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.parts.last().map(String::as_str)
    }

    /// Folder and last part; none for the root, which nothing here can create, rename or remove.
    pub(super) fn split(&self) -> Option<(Self, &str)> {
        let (last, above) = self.parts.split_last()?;
        let above = Self {
            parts: above.to_vec(),
        };
        Some((above, last))
    }

    /// As the kernel takes it.
    pub(super) fn for_kernel(&self) -> String {
        if self.parts.is_empty() {
            ".".to_owned()
        } else {
            self.parts.join("/")
        }
    }
}

impl std::fmt::Display for Inside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.for_kernel())
    }
}

impl std::str::FromStr for Inside {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::parse(name)
    }
}

fn check_part(part: &str) -> Result<(), NameError> {
    // A backslash parts names elsewhere; `..` behind one climbs on such a machine.
    if part.split('\\').any(|piece| piece == "..") {
        return Err(NameError::Climbs);
    }
    if part.len() > NAME_BYTES_MAX {
        return Err(NameError::LongPart);
    }
    if is_device(part) {
        return Err(NameError::Device);
    }
    Ok(())
}

/// Absolute on another system: a server share, or a drive letter.
fn foreign_absolute(name: &str) -> bool {
    let mut chars = name.chars();
    let (first, second) = (chars.next(), chars.next());
    first == Some('\\')
        || (first.is_some_and(|letter| letter.is_ascii_alphabetic()) && second == Some(':'))
}

/// `file:notes.txt` and `data:...` name something else than a file called so.
fn scheme(name: &str) -> bool {
    ["file:", "data:", "http:", "https:"].iter().any(|scheme| {
        name.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    })
}

/// Names that mean a device on another system, with any ending: a workspace is copied about.
fn is_device(part: &str) -> bool {
    let stem = part.split(['.', ':']).next().unwrap_or(part).trim_end();
    let stem = stem.to_ascii_uppercase();
    match stem.as_str() {
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" => true,
        _ => {
            let numbered = stem.strip_prefix("COM").or(stem.strip_prefix("LPT"));
            numbered.is_some_and(|rest| matches!(rest.as_bytes(), [b'1'..=b'9']))
        }
    }
}
