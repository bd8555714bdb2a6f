//! What a word is, by its form alone: a number, a path, an address, an identifier, or a word.

pub(super) const SPACE: u8 = 1;
pub(super) const MARK: u8 = 2;
pub(super) const DIGIT: u8 = 4;
pub(super) const LETTER: u8 = 8;
pub(super) const HEX: u8 = 16;
pub(super) const WIDE: u8 = 32;

const CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut class = 0;
        #[expect(clippy::cast_possible_truncation, reason = "the loop ends at 256")]
        let value = byte as u8;
        if value <= b' ' || value == 0x7f {
            class |= SPACE;
        }
        if matches!(
            value,
            b'(' | b')'
                | b'['
                | b']'
                | b'{'
                | b'}'
                | b'"'
                | b'\''
                | b'`'
                | b','
                | b';'
                | b'|'
                | b'<'
                | b'>'
                | b'='
                | b'#'
                | b'!'
                | b'?'
        ) {
            class |= MARK;
        }
        if value.is_ascii_digit() {
            class |= DIGIT;
        }
        if value.is_ascii_alphabetic() {
            class |= LETTER;
        }
        if value.is_ascii_hexdigit() {
            class |= HEX;
        }
        if value >= 0x80 {
            class |= WIDE;
        }
        table[byte] = class;
        byte += 1;
    }
    table
}

pub(super) fn class(byte: u8) -> u8 {
    CLASS[usize::from(byte)]
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Word,
    Value,
    /// A value of digits and the marks of numbers, dates and times.
    Number,
    Mark,
}

/// What a word is, by its form alone.
pub(super) fn form(text: &[u8]) -> Form {
    let mut all = 0_u8;
    let mut digits = 0;
    let mut letters = 0;
    let mut hexadecimal = 0;
    let mut slashes = 0;
    for &byte in text {
        let kind = class(byte);
        all |= kind;
        digits += usize::from(kind & DIGIT != 0);
        letters += usize::from(kind & LETTER != 0);
        hexadecimal += usize::from(kind & HEX != 0);
        slashes += usize::from(byte == b'/');
    }
    if all & WIDE != 0 {
        return Form::Word;
    }
    if all & (DIGIT | LETTER) == 0 {
        // What was left out or hidden: `****`.
        let hidden = text.len() >= 4 && text.iter().all(|byte| *byte == b'*');
        return if hidden { Form::Value } else { Form::Mark };
    }
    if digits > 0 {
        if letters == 0 {
            return Form::Number;
        }
        let tagged = digits == 1 && letters + 1 == text.len() && class(text[0]) & LETTER != 0;
        return if tagged && hexadecimal < text.len() {
            Form::Word
        } else {
            Form::Value
        };
    }
    let path = match text {
        [b'/' | b'\\', _, ..] | [b'~' | b'.', b'/', ..] | [b'.', b'.', b'/', ..] => true,
        [_, b':', b'\\', ..] => true,
        _ => slashes >= 2,
    };
    if path || (hexadecimal == text.len() && text.len() >= 8) || is_constant(text) || is_mail(text)
    {
        Form::Value
    } else {
        Form::Word
    }
}

fn is_mail(text: &[u8]) -> bool {
    let Some(at) = text.iter().position(|byte| *byte == b'@') else {
        return false;
    };
    at > 0 && text[at..].contains(&b'.')
}

/// Values that are written as words.
fn is_constant(text: &[u8]) -> bool {
    matches!(
        text,
        b"true" | b"false" | b"null" | b"True" | b"False" | b"TRUE" | b"FALSE" | b"NULL" | b"nil"
    )
}

/// The name of a day or month, as dates have it.
pub(super) fn is_date_word(text: &[u8]) -> bool {
    const NAMES: [&[u8; 3]; 19] = [
        b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun", b"Jan", b"Feb", b"Mar", b"Apr",
        b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
    ];
    text.len() == 3 && NAMES.iter().any(|name| name.as_slice() == text)
}
/// What is counted and measured in.
pub(super) fn is_unit(text: &[u8]) -> bool {
    const UNITS: [&[u8]; 24] = [
        b"B", b"KB", b"MB", b"GB", b"TB", b"kB", b"KiB", b"MiB", b"GiB", b"K", b"M", b"G", b"ns",
        b"us", b"ms", b"s", b"sec", b"secs", b"min", b"h", b"Hz", b"kHz", b"MHz", b"GHz",
    ];
    text.len() <= 4 && UNITS.contains(&text)
}
