//! Canonical JSON (RFC 8785): equal values have equal bytes, so that a hash speaks of the value.
//!
//! Keys are sorted by their UTF-16 code units, numbers are written as ECMAScript writes them, and
//! nothing stands between tokens. Integers that would be written with other digits, because a double
//! cannot hold them, are refused rather than rounded: two different calls must never share a digest.

use serde::Serialize;
use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

/// Values nested deeper than this are refused.
pub const DEPTH_MAX: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    #[error("the value cannot be written as JSON")]
    Value(#[source] serde_json::Error),
    #[error("the number {0} is not exact as a double; send it as a string")]
    Number(Number),
    #[error("the value is nested deeper than {DEPTH_MAX} levels")]
    Depth,
    #[error("the canonical form is longer than {0} bytes")]
    Length(usize),
}

/// Writes the canonical form of a value.
pub fn write(value: &Value) -> Result<String, CanonicalError> {
    write_within(value, usize::MAX)
}

/// Writes the canonical form, refusing one that is longer than `bytes_max`.
pub fn write_within(value: &Value, bytes_max: usize) -> Result<String, CanonicalError> {
    let mut writer = Writer {
        out: String::new(),
        bytes_max,
    };
    writer.value(value, 0)?;
    Ok(writer.out)
}

/// The canonical form of anything that serialises.
pub fn of(value: &impl Serialize) -> Result<String, CanonicalError> {
    write(&serde_json::to_value(value).map_err(CanonicalError::Value)?)
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

struct Writer {
    out: String,
    bytes_max: usize,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), CanonicalError> {
        if depth > DEPTH_MAX {
            return Err(CanonicalError::Depth);
        }
        match value {
            Value::Null => self.push("null"),
            Value::Bool(true) => self.push("true"),
            Value::Bool(false) => self.push("false"),
            Value::Number(number) => self.number(number),
            Value::String(text) => self.string(text),
            Value::Array(items) => {
                self.push("[")?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.push(",")?;
                    }
                    self.value(item, depth + 1)?;
                }
                self.push("]")
            }
            Value::Object(fields) => {
                let mut sorted: Vec<_> = fields.iter().collect();
                sorted.sort_by(|(one, _), (two, _)| one.encode_utf16().cmp(two.encode_utf16()));
                self.push("{")?;
                for (index, (key, field)) in sorted.into_iter().enumerate() {
                    if index > 0 {
                        self.push(",")?;
                    }
                    self.string(key)?;
                    self.push(":")?;
                    self.value(field, depth + 1)?;
                }
                self.push("}")
            }
        }
    }

    fn number(&mut self, number: &Number) -> Result<(), CanonicalError> {
        let double = number
            .as_f64()
            .filter(|double| double.is_finite())
            .ok_or_else(|| CanonicalError::Number(number.clone()))?;
        let mut buffer = ryu_js::Buffer::new();
        let text = buffer.format_finite(double);
        if number.is_f64() || number.to_string() == text {
            self.push(text)
        } else {
            Err(CanonicalError::Number(number.clone()))
        }
    }

    fn string(&mut self, text: &str) -> Result<(), CanonicalError> {
        // serde_json escapes exactly what the RFC asks for: the quote, the backslash, and control
        // characters in their short form where there is one, else as lower-case \u00xx.
        let quoted = serde_json::to_string(text).map_err(CanonicalError::Value)?;
        self.push(&quoted)
    }

    fn push(&mut self, piece: &str) -> Result<(), CanonicalError> {
        if self.out.len().saturating_add(piece.len()) > self.bytes_max {
            return Err(CanonicalError::Length(self.bytes_max));
        }
        self.out.push_str(piece);
        Ok(())
    }
}
