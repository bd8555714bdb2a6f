//! Lines that fetch or decode a program and run it.

/// What brings text from elsewhere, or makes text of what cannot be read.
const FETCHES: [&str; 7] = [
    "curl",
    "wget",
    "iwr",
    "irm",
    "invoke-webrequest",
    "invoke-restmethod",
    "aria2c",
];
/// What runs the text that it is given.
const RUNS: [&str; 23] = [
    "sh",
    "bash",
    "zsh",
    "dash",
    "ksh",
    "fish",
    "ash",
    "python",
    "python2",
    "python3",
    "perl",
    "ruby",
    "node",
    "deno",
    "bun",
    "php",
    "lua",
    "pwsh",
    "powershell",
    "iex",
    "invoke-expression",
    "eval",
    "source",
];
/// Words before a command that change nothing of what runs.
const BEFORE: [&str; 8] = [
    "sudo", "doas", "env", "exec", "nohup", "time", "nice", "command",
];

/// Lines with their numbers; one that goes on after a backslash is one with the next.
pub(super) fn joined(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in (1..).zip(text.lines()) {
        let stripped = line.trim_end().strip_suffix('\\');
        let piece = stripped.unwrap_or(line);
        match lines.last_mut().filter(|_| goes_on) {
            Some((_, whole)) => whole.push_str(piece),
            None => lines.push((number, piece.to_owned())),
        }
        goes_on = stripped.is_some();
    }
    lines
}

/// What a line in small letters runs, if it was fetched or decoded first.
pub(super) fn fetched(line: &str) -> Option<&'static str> {
    const WHAT: &str = "what is fetched or decoded is run as a program";
    let mut is_fed = false;
    for piece in line.split('|') {
        if is_fed && runs(piece) {
            return Some(WHAT);
        }
        is_fed |= feeds(piece);
    }
    for open in ["$(", "<(", "`", "(irm ", "(iwr "] {
        let Some((before, inner)) = line.split_once(open) else {
            continue;
        };
        let inner = if open.starts_with("(i") {
            &open[1..]
        } else {
            inner
        };
        let begins = inner.trim_start_matches(['"', '\'', ' ']);
        let is_run = before
            .split(|c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '"' | '\'' | '`'))
            .any(is_runner);
        if is_run && feeds(first_command(begins)) {
            return Some(WHAT);
        }
    }
    None
}

/// A command as far as it goes.
fn first_command(text: &str) -> &str {
    text.split([')', '`', ';']).next().unwrap_or_default()
}

fn feeds(piece: &str) -> bool {
    let words: Vec<&str> = piece
        .split(|c: char| c.is_whitespace() || matches!(c, '`' | '"' | '\'' | '(' | ';' | '&'))
        .map(base)
        .collect();
    let decodes = |flags: &[&str]| words.iter().any(|word| flags.contains(word));
    words.iter().any(|word| FETCHES.contains(word))
        || (words.contains(&"base64") && decodes(&["-d", "--decode", "-di"]))
        || (words.contains(&"xxd") && decodes(&["-r", "-rp"]))
        || (words.contains(&"openssl") && decodes(&["-d"]))
}

fn runs(piece: &str) -> bool {
    let words = piece
        .split(|c: char| c.is_whitespace() || matches!(c, '`' | '"' | '\'' | ')' | ';'))
        .filter(|word| !word.is_empty());
    let mut words = words.skip_while(|word| {
        BEFORE.contains(&base(word)) || word.starts_with('-') || word.contains('=')
    });
    words.next().is_some_and(is_runner)
}

fn is_runner(word: &str) -> bool {
    let word = base(word);
    let plain = word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    word == "." || RUNS.contains(&word) || (plain == "python" && word != plain)
}

/// A command without the folder that it lies in.
fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// True if a line in small letters makes a program of a text.
pub(super) fn evaluates(line: &str) -> bool {
    line.match_indices("eval").any(|(at, word)| {
        let before = line[..at].chars().next_back();
        let is_word = before.is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let after = &line[at + word.len()..];
        let given = after.trim_start();
        let is_given =
            given.starts_with(['$', '`']) || given.starts_with("\"$") || given.starts_with("'$");
        is_word && (after.starts_with('(') || (after.starts_with(' ') && is_given))
    })
}
