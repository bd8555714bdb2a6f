//! How people name a release: an alias, an alias some steps back, an id, the beginning of one.

/// The shortest beginning of an id that is looked up.
const PREFIX_CHARS_MIN: usize = 4;

/// The most steps back that are looked up.
const STEPS_MAX: usize = 1000;

/// A name, taken apart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Name {
    /// `stable` is no step back, `stable~1` one.
    Alias {
        alias: String,
        back: usize,
    },
    Prefix(String),
}

impl Name {
    /// `None` if nothing can have this name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (alias, back) = match text.split_once('~') {
            Some((alias, steps)) => (alias, steps.parse().ok().filter(|n| *n <= STEPS_MAX)?),
            None => (text, 0),
        };
        let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if back == 0 && text.bytes().all(is_hex) {
            return (PREFIX_CHARS_MIN..=64)
                .contains(&text.len())
                .then(|| Self::Prefix(text.to_owned()));
        }
        let is_alias = (1..=64).contains(&alias.len())
            && alias
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        is_alias.then(|| Self::Alias {
            alias: alias.to_owned(),
            back,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let alias = |alias: &str, back| {
            Some(Name::Alias {
                alias: alias.to_owned(),
                back,
            })
        };
        assert_eq!(Name::parse("stable"), alias("stable", 0));
        assert_eq!(Name::parse("stable~2"), alias("stable", 2));
        assert_eq!(Name::parse("0a1b"), Some(Name::Prefix("0a1b".to_owned())));
        for nothing in [
            "",
            "abc",
            "stable~",
            "stable~x",
            "stable~9999",
            "../x",
            "A b",
        ] {
            assert_eq!(Name::parse(nothing), None, "{nothing}");
        }
    }
}
