//! Keys on the command line: every user of the machine can read it in the process list.
//!
//! A key belongs into a file, a pipe or a variable. One that was given as an argument all the same
//! is overwritten where the system keeps the arguments, before anything else happens; where that is
//! not possible the command refuses to go on as if nothing had happened.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStrExt as _;

/// The arguments whose values are keys.
const KEYS: [&str; 1] = ["--custom-api-key"];
/// The most bytes of arguments that are looked through; the kernel takes no more.
const ARGUMENTS_MAX: u64 = 8 << 20;

/// What the process list shows of the keys among the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// There were none.
    Nothing,
    /// It showed one for an instant.
    Hidden,
    /// It goes on showing one.
    Shown,
}

/// Takes keys out of what the process list shows. The arguments have to be copies already.
pub(crate) fn keys(arguments: &[OsString]) -> Exposure {
    let keys = values(arguments);
    if keys.is_empty() {
        return Exposure::Nothing;
    }
    let hidden = keys.iter().all(|key| overwrite(key).is_ok()) && !is_shown(&keys);
    if hidden {
        Exposure::Hidden
    } else {
        Exposure::Shown
    }
}

/// The values that are keys themselves, and not where one is.
fn values(arguments: &[OsString]) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    let mut awaited = false;
    for argument in arguments.iter().map(|argument| argument.as_bytes()) {
        let joined = KEYS.iter().find_map(|name| {
            let rest = argument.strip_prefix(name.as_bytes())?;
            rest.strip_prefix(b"=")
        });
        let value = if awaited { Some(argument) } else { joined };
        awaited = KEYS.iter().any(|name| name.as_bytes() == argument);
        if let Some(value) = value
            && is_key(value)
        {
            values.push(value.to_owned());
        }
    }
    values
}

/// `-` is standard input, `@FILE` a file.
pub(crate) fn is_key(value: &[u8]) -> bool {
    !value.is_empty() && value != b"-" && !value.starts_with(b"@")
}

fn shown() -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open("/proc/self/cmdline")?;
    let _read = file.take(ARGUMENTS_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A system that does not say counts as showing them.
fn is_shown(keys: &[Vec<u8>]) -> bool {
    shown().map_or(true, |bytes| {
        keys.iter().any(|key| !places(&bytes, key).is_empty())
    })
}

fn places(bytes: &[u8], key: &[u8]) -> Vec<usize> {
    let windows = bytes.windows(key.len()).enumerate();
    windows
        .filter(|(_, part)| *part == key)
        .map(|(at, _)| at)
        .collect()
}

/// Writes over every place of the key in the memory that the process list is read from.
fn overwrite(key: &[u8]) -> std::io::Result<()> {
    let start = arguments_start()?;
    let mut memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
    for at in places(&shown()?, key) {
        let at = u64::try_from(at).map_err(std::io::Error::other)?;
        memory.seek(SeekFrom::Start(start + at))?;
        memory.write_all(&vec![b'*'; key.len()])?;
    }
    Ok(())
}

/// Where the kernel laid the arguments: field 48 of `/proc/self/stat`.
fn arguments_start() -> std::io::Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name, in parentheses, and may hold anything.
    let rest = stat.rsplit_once(')').map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split_whitespace().nth(45)?.parse().ok())
        .filter(|start| *start > 0)
        .ok_or_else(|| std::io::Error::other("the system does not say where the arguments are"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_that_are_keys_themselves_count() {
        let of = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let values = values(&words).into_iter();
            values
                .map(|value| String::from_utf8(value).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&["--custom-api-key", "sk-1", "x"]), ["sk-1"]);
        assert_eq!(of(&["--custom-api-key=sk-2"]), ["sk-2"]);
        assert!(of(&["--custom-api-key", "-", "--custom-api-key=@/k"]).is_empty());
        assert!(of(&["--custom-api-key-file", "x"]).is_empty());
    }
}
