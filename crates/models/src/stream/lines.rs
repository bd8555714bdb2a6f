//! Lines of JSON, within bounds.

use super::EVENT_BYTES_MAX;
use crate::codec::DecodeError;

/// Cuts bytes into lines; empty lines are skipped.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
}

impl Lines {
    pub fn push(
        &mut self,
        mut bytes: &[u8],
        on_line: &mut dyn FnMut(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        while let Some(end) = bytes.iter().position(|&b| b == b'\n') {
            self.grow(&bytes[..end])?;
            bytes = &bytes[end + 1..];
            self.flush(on_line)?;
        }
        self.grow(bytes)
    }

    /// The last line may lack its end.
    pub fn flush(
        &mut self,
        on_line: &mut dyn FnMut(&[u8]) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let mut line = std::mem::take(&mut self.line);
        let done = match line.trim_ascii() {
            [] => Ok(()),
            text => on_line(text),
        };
        line.clear();
        self.line = line;
        done
    }

    fn grow(&mut self, piece: &[u8]) -> Result<(), DecodeError> {
        if self.line.len() + piece.len() > EVENT_BYTES_MAX {
            return Err(DecodeError::TooLarge("a line"));
        }
        self.line.extend_from_slice(piece);
        Ok(())
    }
}
