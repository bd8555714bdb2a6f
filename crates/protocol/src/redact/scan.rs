//! Walks over a text and reports what has the shape of a secret or an identity.

use super::shapes;

/// What stands in redacted text. Each is passed over when the text is looked at again.
pub(super) const PLACEHOLDERS: [&str; 7] = [
    "[secret]",
    "[email]",
    "[phone]",
    "[number]",
    "[opaque]",
    "[cut]",
    "[withheld]",
];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Secret {
        what: &'static str,
        /// False for what is better taken out but may well be harmless.
        certain: bool,
    },
    Email,
    Phone,
    Number,
    Opaque,
}

impl Kind {
    pub(super) fn placeholder(self) -> &'static str {
        match self {
            Self::Secret { .. } => "[secret]",
            Self::Email => "[email]",
            Self::Phone => "[phone]",
            Self::Number => "[number]",
            Self::Opaque => "[opaque]",
        }
    }
}

/// The bytes `from..to` are to be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hit {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) kind: Kind,
}

impl Hit {
    fn is_certain(&self) -> bool {
        matches!(self.kind, Kind::Secret { certain: true, .. })
    }
}

/// Yields hits from left to right; they never overlap.
///
/// Time is linear: a shape is looked for only where a run of letters and digits begins, and looks
/// ahead either over a bounded stretch or over a run that is remembered and not looked at again.
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// The end of the last hit: what follows it has the bracket of a placeholder on its left.
    last_hit_end: usize,
    /// Runs up to here were found not to be random.
    plain_until: usize,
    /// Looks for what is certainly a key, and for nothing else.
    keys_only: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn over(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            last_hit_end: 0,
            plain_until: 0,
            keys_only: false,
        }
    }

    /// Yields only what is certainly a key or a token by its own shape, whatever stands around it.
    pub(super) fn for_keys(text: &'a str) -> Self {
        Self {
            keys_only: true,
            ..Self::over(text)
        }
    }

    fn hit_here(&mut self) -> Option<Hit> {
        let rest = &self.text[self.at..];
        let first = *rest.as_bytes().first()?;
        if self.keys_only {
            return self.key_here(first);
        }
        match first {
            b':' => return shapes::url_credentials(self.text, self.at),
            b'-' => return shapes::pem(self.text, self.at),
            _ => {}
        }
        if !self.at_boundary() {
            return None;
        }
        match first {
            b'+' | b'(' => shapes::number(self.text, self.at),
            b'0'..=b'9' => shapes::number(self.text, self.at).or_else(|| self.word()),
            _ => self.word(),
        }
    }

    fn key_here(&self, first: u8) -> Option<Hit> {
        let (text, at) = (self.text, self.at);
        let hit = match first {
            b'-' => shapes::private_key(text, at),
            _ if !self.at_boundary() => None,
            b'0'..=b'9' => shapes::bot_token(text, at),
            _ => shapes::bearer(text, at)
                .filter(Hit::is_certain)
                .or_else(|| shapes::vendor_key(text, at))
                .or_else(|| shapes::jwt(text, at)),
        };
        hit.filter(Hit::is_certain)
    }

    fn word(&mut self) -> Option<Hit> {
        shapes::pair(self.text, self.at)
            .or_else(|| shapes::bearer(self.text, self.at))
            .or_else(|| shapes::vendor_key(self.text, self.at))
            .or_else(|| shapes::jwt(self.text, self.at))
            .or_else(|| shapes::email(self.text, self.at))
            .or_else(|| self.random_run())
    }

    fn random_run(&mut self) -> Option<Hit> {
        if self.at < self.plain_until {
            return shapes::hex_run(self.text, self.at);
        }
        match shapes::random_run(self.text, self.at) {
            Ok(hit) => Some(hit),
            Err(end) => {
                self.plain_until = end;
                shapes::hex_run(self.text, self.at)
            }
        }
    }

    /// True unless a letter or digit stands on the left.
    fn at_boundary(&self) -> bool {
        self.at == self.last_hit_end
            || !self.text[..self.at]
                .chars()
                .next_back()
                .is_some_and(char::is_alphanumeric)
    }

    /// Goes past the placeholder, the run of letters and digits, or the one character here.
    fn step(&mut self) {
        let rest = &self.text[self.at..];
        let placeholder = PLACEHOLDERS
            .iter()
            .find(|placeholder| rest.starts_with(**placeholder));
        let width = match placeholder {
            Some(placeholder) => placeholder.len(),
            None => match rest.find(|c: char| !c.is_alphanumeric()) {
                Some(0) => rest.chars().next().map_or(1, char::len_utf8),
                Some(end) => end,
                None => rest.len(),
            },
        };
        self.at += width;
    }
}

impl Iterator for Scanner<'_> {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        while self.at < self.text.len() {
            if let Some(hit) = self.hit_here() {
                self.at = hit.to;
                self.last_hit_end = hit.to;
                return Some(hit);
            }
            self.step();
        }
        None
    }
}
