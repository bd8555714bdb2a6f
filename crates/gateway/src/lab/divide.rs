//! One template that hides two causes: a person says by what its failures are told apart, and from then on
//! each value has a fault of its own. What was counted before stays where it is; taken back, the parts go
//! into the whole again.

use instar_protocol::event::{Event, EventKind};
use instar_protocol::fault::Divided;

/// Parts of one fault; what comes after counts as `other`.
pub(super) const PARTS_MAX: usize = 16;
/// Characters of a value that stand in a part's name.
const VALUE_CHARS_MAX: usize = 60;
const HOLE: &str = "<*>";

/// What tells this failure from others of its fault; none where it has nothing at that place.
pub(super) fn part(by: Divided, event: &Event, template: &str, text: &str) -> Option<String> {
    let value = match by {
        Divided::Arguments => match &event.kind {
            EventKind::ToolCall { argument_names, .. } => Some(argument_names.join(",")),
            _ => None,
        },
        Divided::Value { place } => values(template, text)?
            .get(place)
            .map(|text| (*text).to_owned()),
    }?;
    Some(value.chars().take(VALUE_CHARS_MAX).collect())
}

/// How many values a template has.
pub(super) fn holes(template: &str) -> usize {
    template.matches(HOLE).count()
}

/// The values of a text by its template; none where it does not fit.
fn values<'a>(template: &str, text: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = template.split(HOLE);
    let mut rest = text.trim().strip_prefix(parts.next()?)?;
    let mut found = Vec::new();
    let mut parts = parts.peekable();
    while let Some(fixed) = parts.next() {
        let end = match (fixed.is_empty(), parts.peek()) {
            (true, None) => rest.len(),
            // Two values that touch cannot be told apart.
            (true, Some(_)) => return None,
            (false, _) => rest.find(fixed)?,
        };
        found.push(rest.get(..end)?);
        rest = rest.get(end + fixed.len()..)?;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_stands_in_the_holes_of_a_template() {
        let all = |template, text| values(template, text);
        assert_eq!(
            all("no <*> in <*> s", "no answer in 12 s"),
            Some(vec!["answer", "12"])
        );
        assert_eq!(all("at <*>", "at a b"), Some(vec!["a b"]));
        assert_eq!(all("<*>: gone", "x: gone"), Some(vec!["x"]));
        assert_eq!(all("at <*><*>", "at ab"), None);
        assert_eq!(all("at <*> now", "elsewhere"), None);
        assert_eq!(all("plain", "plain"), Some(vec![]));
        assert_eq!(holes("<*> of <*>"), 2);
    }
}
