//! The sections of an identity file. Put one after another they are the file again, to the byte.

/// The sections of a text: the line of the heading, without its end, and the whole section.
///
/// A heading is a line that begins with one to six `#` and a space. What stands before the first has an
/// empty heading. Fences are not looked at: what a section says must not move the border of another.
#[must_use]
pub fn sections(text: &str) -> Vec<(&str, &str)> {
    let mut begins = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if at > 0 && is_heading(line) {
            begins.push(at);
        }
        at += line.len();
    }
    let ends = begins.iter().skip(1).copied().chain([text.len()]);
    begins
        .iter()
        .zip(ends)
        .map(|(begin, end)| &text[*begin..end])
        .filter(|section| !section.is_empty())
        .map(|section| (heading(section), section))
        .collect()
}

/// The heading that a section begins with.
fn heading(section: &str) -> &str {
    let line = section.split_inclusive('\n').next().unwrap_or_default();
    if is_heading(line) {
        line.trim_end()
    } else {
        ""
    }
}

fn is_heading(line: &str) -> bool {
    let marks = line.bytes().take_while(|byte| *byte == b'#').count();
    (1..=6).contains(&marks) && line[marks..].starts_with(' ')
}

#[cfg(test)]
mod tests {
    use super::sections;

    #[test]
    fn sections_are_the_text_again() {
        let text = "before\n# One\na\n```\n# Two \nb\n#no\n####### no\n## Three";
        let found = sections(text);
        let headings: Vec<_> = found.iter().map(|(heading, _)| *heading).collect();
        assert_eq!(headings, ["", "# One", "# Two", "## Three"]);
        let whole: String = found.iter().map(|(_, text)| *text).collect();
        assert_eq!(whole, text);
        assert!(sections("").is_empty());
        assert_eq!(sections("# A\n"), [("# A", "# A\n")]);
    }
}
