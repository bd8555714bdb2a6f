//! Tables of comma-separated values with a header row.

use serde_json::{Map, Value};

/// Reads a table: one map of column to text for each row. Fields may be quoted, with quotes doubled
/// inside, and then hold commas and line breaks.
pub(crate) fn rows(text: &str) -> Result<Vec<Map<String, Value>>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut records = records(text)?.into_iter();
    let Some(head) = records.next() else {
        return Ok(Vec::new());
    };
    records
        .enumerate()
        .map(|(index, fields)| {
            if fields.len() != head.len() {
                let (has, wants, row) = (fields.len(), head.len(), index + 2);
                return Err(format!("row {row} has {has} fields, the header {wants}"));
            }
            Ok(head
                .iter()
                .cloned()
                .zip(fields.into_iter().map(Value::String))
                .collect())
        })
        .collect()
}

fn records(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut records = Vec::new();
    let mut record = Vec::new();
    let mut field = String::new();
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    // True once a field, even an empty one, has begun in this record.
    let mut begun = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => (quoted, begun) = (true, true),
            ',' if !quoted => {
                record.push(std::mem::take(&mut field));
                begun = true;
            }
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                if begun || record.len() > 1 || !record[0].is_empty() {
                    records.push(std::mem::take(&mut record));
                } else {
                    record.clear();
                }
                begun = false;
            }
            other => {
                field.push(other);
                begun = true;
            }
        }
    }
    if quoted {
        return Err("a quoted field has no end".to_owned());
    }
    if begun {
        record.push(field);
        records.push(record);
    }
    Ok(records)
}
