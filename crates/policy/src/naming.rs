//! What the owner's words name: somebody, a place, a command, a sum. An everyday word names nobody: who
//! may call himself `summary` would be written to by whoever asks for one.

use crate::typed::{Kind, Typed, normal};
use crate::words::{Words, tokens, trimmed};

/// Words behind which a name stands, also in small letters.
const BEFORE_NAMES: [&str; 58] = [
    "to",
    "with",
    "for",
    "from",
    "by",
    "in",
    "into",
    "on",
    "at",
    "invite",
    "add",
    "ask",
    "tell",
    "message",
    "dm",
    "mail",
    "email",
    "text",
    "ping",
    "notify",
    "remind",
    "remove",
    "kick",
    "user",
    "member",
    "contact",
    "person",
    "channel",
    "room",
    "group",
    "chat",
    "team",
    "named",
    "called",
    "recipient",
    "payee",
    "an",
    "mit",
    "von",
    "für",
    "bei",
    "à",
    "avec",
    "de",
    "pour",
    "chez",
    "a",
    "con",
    "para",
    "к",
    "с",
    "для",
    "от",
    "у",
    "в",
    "на",
    "кому",
    "через",
];
/// Words that say of the one before that it is a place.
const BEHIND_PLACES: [&str; 8] = [
    "channel", "room", "group", "chat", "team", "thread", "list", "board",
];
/// Words that point at something and name nothing.
const POINTING: [&str; 24] = [
    "the", "a", "an", "this", "that", "these", "those", "my", "our", "your", "his", "her", "its",
    "their", "all", "any", "some", "every", "me", "us", "it", "them", "him", "which",
];
/// Words that join several names.
const JOINING: [&str; 8] = ["and", "or", "&", "und", "et", "y", "и", "或"];
/// Currencies that are written as three letters.
const CURRENCIES: [&str; 32] = [
    "USD", "EUR", "GBP", "JPY", "CHF", "CAD", "AUD", "NZD", "CNY", "RMB", "INR", "RUB", "UAH",
    "PLN", "CZK", "SEK", "NOK", "DKK", "HUF", "RON", "BGN", "TRY", "ILS", "AED", "SAR", "ZAR",
    "BRL", "MXN", "KRW", "SGD", "HKD", "THB",
];
/// Words in front of a number that is a number of something.
const BEFORE_NUMBERS: [&str; 28] = [
    "invoice",
    "bill",
    "order",
    "number",
    "no",
    "nr",
    "id",
    "ticket",
    "room",
    "flight",
    "version",
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "page",
    "line",
    "chapter",
    "year",
    "since",
];

impl Words {
    /// True if the text stands there as a name: quoted, marked, of several words, written as names are, or
    /// behind a word behind which a name stands.
    #[must_use]
    pub fn names(&self, text: &str) -> bool {
        let wanted = tokens(text);
        let [wanted] = wanted.as_slice() else {
            return self.says(text);
        };
        if POINTING.contains(&wanted.as_str()) {
            return false;
        }
        self.is_quoted(wanted) || self.text().lines().any(|line| names_in(line, wanted))
    }

    /// True if this command stands there as it is: quoted as a whole, or word for word, with all of its
    /// switches.
    #[must_use]
    pub fn says_command(&self, command: &[&str]) -> bool {
        let joined = command.join(" ");
        let wanted: Vec<&str> = joined.split_whitespace().collect();
        if wanted.is_empty() {
            return false;
        }
        if self.is_quoted(&wanted.join(" ")) {
            return true;
        }
        // A part of what was quoted as a whole is another command.
        let open = without_quoted(self.text());
        open.lines().any(|line| {
            let pieces: Vec<&str> = line.split_whitespace().collect();
            (0..pieces.len()).any(|at| {
                let mut found = pieces[at..].iter().map(|piece| trimmed(piece));
                let is_here = wanted.iter().all(|word| found.next() == Some(*word));
                is_here && !found.next().is_some_and(|next| next.starts_with('-'))
            })
        })
    }

    /// True if this sum is said. Where a sum is said with its currency, other numbers are none.
    pub(crate) fn says_amount(&self, value: &Typed) -> bool {
        let mut with_currency = Vec::new();
        let mut bare = Vec::new();
        for line in self.text().lines() {
            let pieces: Vec<&str> = line.split_whitespace().map(trimmed).collect();
            for (at, piece) in pieces.iter().enumerate() {
                let pair = pieces.get(at + 1).map(|next| format!("{piece}{next}"));
                let before = at.checked_sub(1).map(|at| pieces[at].to_lowercase());
                for found in [Some((*piece).to_owned()), pair].into_iter().flatten() {
                    let Some(found) = normal(Kind::Amount, &found) else {
                        continue;
                    };
                    let (number, currency) = parts(&found.form);
                    let is_of = before
                        .as_deref()
                        .is_some_and(|word| BEFORE_NUMBERS.contains(&word));
                    match currency {
                        "" if !is_of => bare.push((number.to_owned(), String::new())),
                        word if CURRENCIES.contains(&word) => {
                            with_currency.push((number.to_owned(), word.to_owned()));
                        }
                        _ => {}
                    }
                }
            }
        }
        let said = if with_currency.is_empty() {
            bare
        } else {
            with_currency
        };
        let (number, currency) = parts(&value.form);
        // A currency that one of the two leaves open is not in doubt.
        said.iter().any(|(own, of)| {
            own == number && (of == currency || of.is_empty() || currency.is_empty())
        })
    }
}

fn parts(form: &str) -> (&str, &str) {
    let end = form.find(|c: char| c.is_ascii_alphabetic());
    form.split_at(end.unwrap_or(form.len()))
}

fn names_in(line: &str, wanted: &str) -> bool {
    let pieces: Vec<&str> = line.split_whitespace().collect();
    let bare = |piece: &str| {
        let piece = trimmed(piece.trim_start_matches(['@', '#']));
        let piece = piece
            .strip_suffix("'s")
            .or(piece.strip_suffix("’s"))
            .unwrap_or(piece);
        piece.trim_start_matches(['@', '#']).to_owned()
    };
    (0..pieces.len()).any(|at| {
        let piece = bare(pieces[at]);
        if piece.to_lowercase() != wanted {
            return false;
        }
        let is_marked = pieces[at].contains(['@', '#']);
        let is_plain = piece.chars().all(|c| c.is_ascii_lowercase());
        let next = pieces.get(at + 1).map(|next| bare(next).to_lowercase());
        let is_place = next.is_some_and(|next| BEHIND_PLACES.contains(&next.as_str()));
        let begins = at == 0 || pieces[at - 1].ends_with(['.', '!', '?', ':']);
        is_marked || is_place || (!is_plain && !begins) || is_introduced(&pieces, at, &bare)
    })
}

/// True if a word in front of this one, or of those that are joined to it, says that it is a name.
fn is_introduced(pieces: &[&str], at: usize, bare: &impl Fn(&str) -> String) -> bool {
    let Some(before) = at.checked_sub(1) else {
        return false;
    };
    let word = bare(pieces[before]).to_lowercase();
    if BEFORE_NAMES.contains(&word.as_str()) {
        return true;
    }
    let is_joined = JOINING.contains(&word.as_str());
    let name = if is_joined {
        before.checked_sub(1)
    } else {
        Some(before)
    };
    let continues = is_joined || pieces[before].ends_with(',');
    continues && name.is_some_and(|name| is_introduced(pieces, name, bare))
}

/// The text without what stands in quotation marks or between backticks.
fn without_quoted(text: &str) -> String {
    let mut open = None;
    let kept = text.chars().filter(|c| match (open, *c) {
        (None, '`' | '"') => {
            open = Some(*c);
            false
        }
        (Some(mark), c) => {
            if c == mark {
                open = None;
            }
            false
        }
        (None, _) => true,
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_everyday_word_names_nobody() {
        let words = Words::of(
            "Please read #general and send the summary to Alice, bob and carol. Ask @dave about \
             the travel channel; 'minutes' is the list, Erin's report is late",
        );
        for name in [
            "Alice", "bob", "carol", "dave", "travel", "general", "minutes", "Erin",
        ] {
            assert!(words.names(name), "{name}");
        }
        for word in ["summary", "Please", "report", "send", "late", "the", "Ask"] {
            assert!(!words.names(word), "{word}");
        }
        assert!(words.names("travel channel") && !words.names("summary Alice"));
        assert!(Words::of("напиши Анне").names("Анне"));
    }

    #[test]
    fn a_command_is_said_whole_or_not_at_all() {
        let words = Words::of(
            "Check with `git status` whether the hard reset of main worked, then run cargo test \
             --all -p core and move notes.txt to old.txt",
        );
        for command in [
            &["git", "status"][..],
            &["cargo", "test", "--all", "-p", "core"],
            &["move", "notes.txt"],
        ] {
            assert!(words.says_command(command), "{command:?}");
        }
        for command in [
            &["git"][..],
            &["git", "reset", "--hard", "main"],
            &["cargo", "test"],
            &["rm", "notes.txt"],
            &["hard", "reset", "main"],
            &["core", "-p"],
            &[],
        ] {
            assert!(!words.says_command(command), "{command:?}");
        }
    }

    #[test]
    fn a_number_beside_a_sum_is_none() {
        let says = |text: &str, amount: &str| {
            Words::of(text).says_amount(&normal(Kind::Amount, amount).unwrap())
        };
        let invoice = "Pay the invoice 2024 of May 12, 50 EUR";
        assert!(says(invoice, "50") && says(invoice, "50.00 EUR"));
        for other in ["2024", "12", "50 USD"] {
            assert!(!says(invoice, other), "{other}");
        }
        assert!(says("send 100 to Bob for invoice 77", "100"));
        assert!(!says("send 100 to Bob for invoice 77", "77"));
        assert!(says("$1,200 please", "1200"));
    }
}
