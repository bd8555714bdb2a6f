//! What the check of arguments says is wrong, read back.

use instar_release::mitigation::Shape;

/// What the check of arguments said was wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Said {
    Shape {
        argument: String,
        shape: Shape,
    },
    AtMost {
        argument: String,
        most: i32,
    },
    AtLeast {
        argument: String,
        least: i32,
    },
    /// The tool knows others.
    Unknown {
        argument: String,
        known: Vec<String>,
    },
    Missing {
        argument: String,
    },
    OneOf {
        argument: String,
    },
}

impl Said {
    /// Reads a sentence of the toolbox. What is not one of these says nothing, whatever it looks like.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("bad arguments: ")?;
        let rest = rest.lines().next()?.trim();
        let rest = rest.strip_prefix("arguments")?;
        if let Some(unknown) = rest.strip_prefix(" has no field ") {
            let (name, known) = unknown.split_once("; it has ").unwrap_or((unknown, ""));
            return Some(Self::Unknown {
                argument: word(name)?,
                known: known.split(',').filter_map(word).collect(),
            });
        }
        if let Some(unknown) = rest.strip_prefix(" must be empty, but has the field ") {
            return Some(Self::Unknown {
                argument: word(unknown)?,
                known: Vec::new(),
            });
        }
        let (name, what) = rest.strip_prefix('.')?.split_once(' ')?;
        let argument = word(name)?;
        if what == "is missing" {
            return Some(Self::Missing { argument });
        }
        let what = what.strip_prefix("must be ")?;
        let number = |after: &str| what.strip_prefix(after)?.trim().parse::<i32>().ok();
        if let Some(most) = number("at most ") {
            return Some(Self::AtMost { argument, most });
        }
        if let Some(least) = number("at least ") {
            return Some(Self::AtLeast { argument, least });
        }
        if what.starts_with("one of ") {
            return Some(Self::OneOf { argument });
        }
        let shape = match what {
            "a whole number" | "a number" => Shape::Number,
            "text" => Shape::Text,
            "true or false" => Shape::Switch,
            "a list" => Shape::List,
            _ => return None,
        };
        Some(Self::Shape { argument, shape })
    }
}

/// The name of one argument of the call itself, and not of something inside it.
fn word(name: &str) -> Option<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let name = name.trim().trim_matches(['"', '`']);
    let fits = (1..=80).contains(&name.len()) && name.chars().all(is_word);
    fits.then(|| name.to_owned())
}

/// The one of these names that stands for the same thing; none where two could.
pub(super) fn alike<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut found = names.filter(|other| *other != name && are_alike(name, other));
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// The same letters, one more or less at the end, or the beginning of one another.
fn are_alike(one: &str, two: &str) -> bool {
    let letters = |name: &str| -> String {
        let plain = name.chars().filter(char::is_ascii_alphanumeric);
        plain.map(|letter| letter.to_ascii_lowercase()).collect()
    };
    let (one, two) = (letters(one), letters(two));
    let (short, long) = if one.len() <= two.len() {
        (one, two)
    } else {
        (two, one)
    };
    !short.is_empty() && long.starts_with(&short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_alike_where_one_of_them_is_meant_and_no_other_can_be() {
        let known = ["query", "limit", "max_results", "max_pages"];
        let found = |name: &str| alike(name, known.into_iter());
        assert_eq!(found("q"), Some("query"));
        assert_eq!(found("Limits"), Some("limit"));
        assert_eq!(found("maxResults"), Some("max_results"));
        assert_eq!(found("max"), None, "two could be meant");
        assert_eq!(found("words"), None);
        assert_eq!(found("query"), None, "it is there already");
    }
}
