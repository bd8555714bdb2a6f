//! Server-sent events, as the HTML standard defines them, within bounds.

use super::EVENT_BYTES_MAX;
use crate::codec::DecodeError;

/// Gets each event's name (empty if it has none) and data.
pub type OnEvent<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<(), DecodeError>;

/// Cuts bytes into events. Lines end with CR LF, LF or CR; a byte order mark at the beginning and
/// comments are skipped; `data` lines are joined with LF.
#[derive(Debug, Default)]
pub struct Splitter {
    line: Vec<u8>,
    data: Vec<u8>,
    event: String,
    has_data: bool,
    /// The last byte was a CR, so a LF that follows belongs to it.
    after_cr: bool,
    /// The first line has been seen, so there is no byte order mark any more.
    begun: bool,
}

impl Splitter {
    /// Feeds bytes; `on_event` gets the event's name (empty if none) and its data.
    pub fn push(&mut self, mut bytes: &[u8], on_event: OnEvent<'_>) -> Result<(), DecodeError> {
        if self.after_cr
            && let Some((&first, rest)) = bytes.split_first()
        {
            self.after_cr = false;
            if first == b'\n' {
                bytes = rest;
            }
        }
        while let Some(end) = bytes.iter().position(|&b| b == b'\n' || b == b'\r') {
            let (piece, rest) = bytes.split_at(end);
            self.grow(piece)?;
            self.end_line(&mut *on_event)?;
            bytes = match rest {
                [b'\r', b'\n', rest @ ..] => rest,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [_, rest @ ..] => rest,
                [] => &[],
            };
        }
        self.grow(bytes)
    }

    fn grow(&mut self, piece: &[u8]) -> Result<(), DecodeError> {
        if self.line.len() + self.data.len() + piece.len() > EVENT_BYTES_MAX {
            return Err(DecodeError::TooLarge("an event"));
        }
        self.line.extend_from_slice(piece);
        Ok(())
    }

    fn end_line(&mut self, on_event: OnEvent<'_>) -> Result<(), DecodeError> {
        let mut line = std::mem::take(&mut self.line);
        if !self.begun {
            self.begun = true;
            if line.starts_with(&[0xef, 0xbb, 0xbf]) {
                line.drain(..3);
            }
        }
        if line.is_empty() {
            let (data, event) = (
                std::mem::take(&mut self.data),
                std::mem::take(&mut self.event),
            );
            let done = if std::mem::take(&mut self.has_data) {
                on_event(&event, &data)
            } else {
                Ok(())
            };
            self.data = data;
            self.data.clear();
            return done;
        }
        let colon = line.iter().position(|&b| b == b':').unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"data" => {
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.has_data = true;
                self.data.extend_from_slice(value);
            }
            b"event" => self.event = String::from_utf8_lossy(value).into_owned(),
            // Comments, ids, retry times and fields that do not exist yet.
            _ => {}
        }
        line.clear();
        self.line = line;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut splitter = Splitter::default();
        let mut out = vec![];
        for piece in pieces {
            splitter
                .push(piece, &mut |event, data| {
                    out.push((event.to_owned(), String::from_utf8(data.to_vec()).unwrap()));
                    Ok(())
                })
                .unwrap();
        }
        out
    }

    #[test]
    fn all_line_ends_comments_marks_and_multi_line_data() {
        let text = "\u{feff}: hello\r\nevent: a\rdata: 1\ndata:2\r\n\r\nid: 7\ndata\n\nevent: lost\n\ndata: \u{fc}\n\n";
        let want = vec![
            ("a".to_owned(), "1\n2".to_owned()),
            (String::new(), String::new()),
            (String::new(), "\u{fc}".to_owned()),
        ];
        assert_eq!(events(&[text.as_bytes()]), want);
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert_eq!(events(&bytes), want);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut splitter = Splitter::default();
        let piece = vec![b'x'; 1024 * 1024];
        let failed = (0..6).any(|_| splitter.push(&piece, &mut |_, _| Ok(())).is_err());
        assert!(failed);
    }
}
