//! The head of a `SKILL.md`: lines of `key: value` between two lines of three hyphens.
//!
//! Of YAML as much as such heads are written in: plain and quoted values, and values that go on in
//! indented lines. Name and description are read; of everything else only the key counts.

/// The most characters of a description.
pub const DESCRIPTION_CHARS_MAX: usize = 1_024;

/// What a head says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Front {
    pub name: String,
    pub description: String,
    /// All keys at its outer level, in small letters, with their lines.
    pub keys: Vec<(String, usize)>,
}

impl Front {
    /// Reads the head of a text; the error is a sentence.
    pub fn read(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        let mut lines = (1..).zip(text.lines().map(str::trim_end));
        if lines.next().is_none_or(|(_, line)| line != "---") {
            return Err("it does not begin with a head, a line of three hyphens".to_owned());
        }
        let mut found = Self::default();
        let mut values: Vec<(String, String)> = Vec::new();
        let mut is_closed = false;
        for (number, line) in lines {
            if line == "---" {
                is_closed = true;
                break;
            }
            if line.trim_start().is_empty() || line.trim_start().starts_with('#') {
                continue;
            }
            if line.starts_with([' ', '\t', '-']) {
                let Some((_, value)) = values.last_mut() else {
                    return Err(format!("line {number} of its head belongs to no key"));
                };
                value.push(' ');
                value.push_str(line.trim());
                continue;
            }
            let Some((key, value)) = line.split_once(':') else {
                return Err(format!("line {number} of its head is no `key: value`"));
            };
            let key = key.trim().trim_matches(['"', '\'']).to_lowercase();
            if values.iter().any(|(known, _)| *known == key) {
                return Err(format!("line {number} of its head says {key} again"));
            }
            found.keys.push((key.clone(), number));
            values.push((key, value.trim().to_owned()));
        }
        if !is_closed {
            return Err("its head has no end, a line of three hyphens".to_owned());
        }
        let of = |key: &str| {
            let value = values.iter().find(|(known, _)| known == key);
            value.map(|(_, value)| plain(value)).unwrap_or_default()
        };
        found.name = of("name");
        found.description = of("description");
        for (key, value) in [("name", &found.name), ("description", &found.description)] {
            if value.is_empty() {
                return Err(format!("its head has no {key}"));
            }
        }
        if found.description.chars().count() > DESCRIPTION_CHARS_MAX {
            return Err(format!(
                "its description has more than {DESCRIPTION_CHARS_MAX} characters"
            ));
        }
        Ok(found)
    }
}

/// A value without its quotes, or without the mark that says that it goes on below.
fn plain(value: &str) -> String {
    let value = value.trim();
    for mark in [">-", "|-", ">+", "|+", ">", "|"] {
        if let Some(rest) = value.strip_prefix(mark) {
            return rest.trim().to_owned();
        }
    }
    for quote in ['"', '\''] {
        let inner = value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner.trim().to_owned();
        }
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_people_write_them() {
        let text = "\u{feff}---\r\nname: \"tides\"\r\n# a note\r\ndescription: >\r\n  Reads tide\r\n  tables.\r\nAllowed-Tools: [a]\r\nmetadata:\r\n  version: 1\r\n---\r\nText: x\r\n";
        let front = Front::read(text).unwrap();
        assert_eq!(front.name, "tides");
        assert_eq!(front.description, "Reads tide tables.");
        let keys: Vec<&str> = front.keys.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["name", "description", "allowed-tools", "metadata"]);
        assert_eq!(front.keys[2].1, 7);
        let colon = Front::read("---\nname: a\ndescription: Use when: asked\n---\n").unwrap();
        assert_eq!(colon.description, "Use when: asked");
    }

    #[test]
    fn a_head_that_is_none_is_told() {
        let long = format!("---\nname: a\ndescription: {}\n---\n", "d".repeat(1_025));
        for (text, why) in [
            ("# Tides", "does not begin"),
            ("---\nname: a\ndescription: b\n", "has no end"),
            ("---\nname: a\n---\n", "no description"),
            ("---\ndescription: b\nname:\n---\n", "no name"),
            (
                "---\nname: a\nname: b\ndescription: c\n---\n",
                "line 3 of its head says name again",
            ),
            (
                "---\n  name: a\n---\n",
                "line 2 of its head belongs to no key",
            ),
            ("---\nname\n---\n", "line 2 of its head is no"),
            (&long, "more than 1024"),
        ] {
            let told = Front::read(text).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
