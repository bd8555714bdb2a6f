//! Cuts a file into its rules, so that each is known by its line.

/// One rule's text and the line that it begins in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Piece<'a> {
    pub(super) line: usize,
    pub(super) text: &'a str,
}

/// The rules of a file: each ends with a semicolon outside strings and comments. What stands behind
/// the last one is a piece of its own, for the parser to complain about.
pub(super) fn split(text: &str) -> Vec<Piece<'_>> {
    let bytes = text.as_bytes();
    let (mut pieces, mut line, mut at) = (Vec::new(), 1, 0);
    // Where the rule under way begins: its offset and its line.
    let mut begin: Option<(usize, usize)> = None;
    while let Some(byte) = bytes.get(at) {
        let end = match byte {
            b'/' if bytes.get(at + 1) == Some(&b'/') => comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            _ => at + 1,
        };
        let is_comment = *byte == b'/' && end > at + 1;
        if begin.is_none() && !byte.is_ascii_whitespace() && !is_comment {
            begin = Some((at, line));
        }
        if *byte == b';'
            && let Some((start, first)) = begin.take()
        {
            pieces.push(Piece {
                line: first,
                text: &text[start..end],
            });
        }
        line += bytes[at..end].iter().filter(|byte| **byte == b'\n').count();
        at = end;
    }
    if let Some((start, first)) = begin {
        pieces.push(Piece {
            line: first,
            text: &text[start..],
        });
    }
    pieces
}

fn comment_end(bytes: &[u8], at: usize) -> usize {
    let length = bytes[at..].iter().position(|byte| *byte == b'\n');
    length.map_or(bytes.len(), |length| at + length)
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(byte) = bytes.get(end) {
        match byte {
            b'\\' => end += 2,
            b'"' => return end + 1,
            _ => end += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_cut_at_their_ends_and_know_their_lines() {
        let text =
            "// one; two\npermit (a);\n\n@words(\"a; \\\"b\\\" // c\")\nforbid (b); // x\nrest";
        let pieces: Vec<_> = split(text)
            .into_iter()
            .map(|piece| (piece.line, piece.text))
            .collect();
        assert_eq!(
            pieces,
            [
                (2, "permit (a);"),
                (4, "@words(\"a; \\\"b\\\" // c\")\nforbid (b);"),
                (6, "rest")
            ]
        );
        assert!(split(" // nothing\n").is_empty());
        for (text, cut) in [
            ("a / b; c;", ["a / b;", "c;"]),
            ("\"a\"; b;", ["\"a\";", "b;"]),
            ("/ a; b;", ["/ a;", "b;"]),
            ("\"a\\\"; b\"; c;", ["\"a\\\"; b\";", "c;"]),
        ] {
            let found: Vec<_> = split(text).iter().map(|piece| piece.text).collect();
            assert_eq!(found, cut);
        }
        for odd in ["\"", "\"\\", "/", ";", "é;\"é"] {
            let joined: usize = split(odd).iter().map(|piece| piece.text.len()).sum();
            assert!(joined <= odd.len());
        }
    }
}
