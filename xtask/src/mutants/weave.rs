//! Writes all changes of a file into it at once, each behind a switch that is off.

use anyhow::Context as _;
use proc_macro2::{LineColumn, Span};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// A place as cargo-mutants tells it: both counted from 1.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    line: usize,
    column: usize,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Range {
    start: Place,
    end: Place,
}

/// A change as cargo-mutants lists it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Change {
    pub(super) file: String,
    pub(super) name: String,
    genre: String,
    replacement: String,
    span: Range,
}

/// A file with its changes in it.
#[derive(Debug)]
pub(super) struct Woven {
    pub(super) text: String,
    /// The lines that each change has touched, and those that it spans.
    pub(super) lines: BTreeMap<usize, (BTreeSet<usize>, Range)>,
}

impl Range {
    fn holds(&self, line: usize) -> bool {
        (self.start.line..=self.end.line).contains(&line)
    }

    fn height(&self) -> usize {
        self.end.line - self.start.line
    }
}

/// Something that is put in at a place, and how much of what stands there goes.
#[derive(Debug)]
struct Edit {
    at: usize,
    gone: usize,
    /// Closing before opening; the inner closes first, the outer opens first.
    order: (u8, usize),
    text: String,
}

/// Places of operators with what stands around them.
#[derive(Default)]
struct Places {
    /// By the place of the operator: what is left of it and right of it.
    binary: BTreeMap<(usize, usize), Operands>,
    unary: BTreeMap<(usize, usize), Span>,
    /// By the place of an arm: its arrow, and whether it has a guard.
    arms: BTreeMap<(usize, usize), (Span, bool)>,
}

/// An operator with what it stands between.
struct Operands {
    whole: Span,
    left: Span,
    operator: Span,
    right: Span,
    binds: bool,
}

fn key(place: LineColumn) -> (usize, usize) {
    (place.line, place.column + 1)
}

impl<'ast> Visit<'ast> for Places {
    fn visit_expr_binary(&mut self, node: &'ast syn::ExprBinary) {
        let operands = Operands {
            whole: node.span(),
            left: node.left.span(),
            operator: node.op.span(),
            right: node.right.span(),
            binds: binds(&node.left) || binds(&node.right),
        };
        self.binary.insert(key(node.op.span().start()), operands);
        visit::visit_expr_binary(self, node);
    }

    fn visit_expr_unary(&mut self, node: &'ast syn::ExprUnary) {
        self.unary
            .insert(key(node.span().start()), node.expr.span());
        visit::visit_expr_unary(self, node);
    }

    fn visit_expr_match(&mut self, node: &'ast syn::ExprMatch) {
        // A guard leaves nothing that has to fit: another arm must.
        let rest = |arm: &syn::Arm| arm.guard.is_none() && matches!(arm.pat, syn::Pat::Wild(_));
        if node.arms.iter().any(rest) {
            for arm in &node.arms {
                let arrow = arm.fat_arrow_token.span();
                self.arms
                    .insert(key(arm.span().start()), (arrow, arm.guard.is_some()));
            }
        }
        visit::visit_expr_match(self, node);
    }
}

/// True if a chain of conditions binds names.
fn binds(part: &syn::Expr) -> bool {
    match part {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(node) => binds(&node.left) || binds(&node.right),
        _ => false,
    }
}

/// Byte offsets of lines, for places that are counted in characters.
struct Offsets<'a> {
    lines: Vec<&'a str>,
    starts: Vec<usize>,
}

impl<'a> Offsets<'a> {
    fn of(text: &'a str) -> Self {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let mut at = 0;
        let starts = lines
            .iter()
            .map(|line| {
                let start = at;
                at += line.len();
                start
            })
            .collect();
        Self { lines, starts }
    }

    fn at(&self, line: usize, column: usize) -> usize {
        let text = self.lines[line - 1];
        let inside = text
            .char_indices()
            .nth(column)
            .map_or(text.len(), |(at, _)| at);
        self.starts[line - 1] + inside
    }

    fn place(&self, place: Place) -> usize {
        self.at(place.line, place.column - 1)
    }

    fn ends(&self, span: Span) -> (usize, usize) {
        let (start, end) = (span.start(), span.end());
        (
            self.at(start.line, start.column),
            self.at(end.line, end.column),
        )
    }
}

/// Weaves the changes with these numbers in; those that it cannot are left out.
pub(super) fn weave(text: &str, changes: &[(usize, &Change)]) -> anyhow::Result<Woven> {
    let file = syn::parse_file(text).context("not Rust")?;
    let mut places = Places::default();
    places.visit_file(&file);
    let offsets = Offsets::of(text);
    let mut edits = Vec::new();
    let mut lines = BTreeMap::new();
    let mut groups: BTreeMap<(Place, &str), Vec<(usize, &Change)>> = BTreeMap::new();
    for (number, change) in changes {
        let group = groups
            .entry((change.span.start, &change.genre))
            .or_default();
        group.push((*number, change));
    }
    for ((start, genre), group) in &groups {
        let made = match *genre {
            "FnValue" => function(&offsets, group),
            "BinaryOperator" => binary(text, &offsets, &places, *start, group),
            "UnaryOperator" => unary(&offsets, &places, *start, group),
            "MatchArmGuard" => guard(text, &offsets, group),
            "MatchArm" => arm(&offsets, &places, *start, group),
            _ => None,
        };
        let Some(made) = made else { continue };
        let touched: BTreeSet<usize> = made
            .iter()
            .map(|edit| 1 + text[..edit.at].matches('\n').count())
            .collect();
        for (number, change) in group {
            lines.insert(*number, (touched.clone(), change.span));
        }
        edits.extend(made);
    }
    edits.sort_by_key(|edit| (edit.at, edit.order));
    let mut woven = String::new();
    let mut at = 0;
    for edit in &edits {
        woven.push_str(&text[at.min(edit.at)..edit.at]);
        woven.push_str(&edit.text);
        at = at.max(edit.at + edit.gone);
    }
    woven.push_str(&text[at..]);
    Ok(Woven { text: woven, lines })
}

fn open(at: usize, end: usize, text: String) -> Edit {
    Edit {
        at,
        gone: 0,
        order: (1, usize::MAX - end),
        text,
    }
}

fn close(at: usize, start: usize, text: String) -> Edit {
    Edit {
        at,
        gone: 0,
        order: (0, usize::MAX - start),
        text,
    }
}

fn instead((at, end): (usize, usize), text: String) -> Edit {
    Edit {
        at,
        gone: end - at,
        order: (2, 0),
        text,
    }
}

const ON: &str = "crate::__changed::on(";

fn on(number: usize) -> String {
    format!("{ON}{number})")
}

impl Woven {
    /// The changes that an error at this place is about, both counted from 1: the one whose switch stands
    /// nearest before it, else all that touched the line, else the narrowest around it.
    pub(super) fn about(&self, line: usize, column: usize) -> Vec<usize> {
        let touched = self
            .lines
            .iter()
            .filter(|(_, (lines, _))| lines.contains(&line));
        let touched: Vec<usize> = touched.map(|(number, _)| *number).collect();
        let text = self.text.lines().nth(line - 1).unwrap_or_default();
        let before: String = text.chars().take(column).collect();
        let nearest = before.rsplit_once(ON).and_then(|(_, rest)| {
            let (number, _) = rest.split_once(')')?;
            number.parse().ok()
        });
        match nearest {
            Some(number) if touched.contains(&number) => return vec![number],
            _ if !touched.is_empty() => return touched,
            _ => {}
        }
        let around = self.lines.iter().filter(|(_, (_, span))| span.holds(line));
        let narrowest = around.min_by_key(|(_, (_, span))| span.height());
        narrowest.map(|(number, _)| *number).into_iter().collect()
    }
}

/// One answer after the other, the first whose switch is on.
fn choice(group: &[(usize, &Change)], each: impl Fn(&str) -> String, own: &str) -> String {
    let others: String = group
        .iter()
        .map(|(number, change)| {
            format!(
                "if {} {{ {} }} else ",
                on(*number),
                each(&change.replacement)
            )
        })
        .collect();
    format!("{others}{{ {} }}", each(own))
}

fn function(offsets: &Offsets<'_>, group: &[(usize, &Change)]) -> Option<Vec<Edit>> {
    let (_, first) = group.first()?;
    let at = offsets.place(first.span.start);
    let text = group
        .iter()
        .map(|(number, change)| format!("if {} {{ return {}; }} ", on(*number), change.replacement))
        .collect();
    Some(vec![open(at, usize::MAX, text)])
}

fn binary(
    text: &str,
    offsets: &Offsets<'_>,
    places: &Places,
    start: Place,
    group: &[(usize, &Change)],
) -> Option<Vec<Edit>> {
    let operands = places.binary.get(&(start.line, start.column))?;
    let whole = offsets.ends(operands.whole);
    let left = offsets.ends(operands.left);
    let operator = offsets.ends(operands.operator);
    let right = offsets.ends(operands.right);
    if operands.binds {
        return None;
    }
    let own = &text[operator.0..operator.1];
    let (begin, middle, end) = match own {
        "&&" | "||" => {
            let (number, _) = group.first().filter(|_| group.len() == 1)?;
            let sign = if own == "&&" { "!=" } else { "==" };
            (
                "(match (".to_owned(),
                format!(") {{ __l => if __l {sign} {} {{ ", on(*number)),
                " } else { __l } })".to_owned(),
            )
        }
        "==" | "!=" if group.len() == 1 => {
            let (number, _) = group.first()?;
            (
                "((".to_owned(),
                own.to_owned(),
                format!(") != {})", on(*number)),
            )
        }
        "==" | "!=" | "<" | ">" | "<=" | ">=" => (
            "(match (&(".to_owned(),
            "), &(".to_owned(),
            format!(
                ")) {{ (__l, __r) => {} }})",
                choice(group, |op| format!("__l {op} __r"), own)
            ),
        ),
        "+=" | "-=" | "*=" | "/=" | "|=" | "&=" | "^=" | "%=" => {
            let target = &text[left.0..left.1];
            let edits = vec![
                Edit {
                    at: left.0,
                    gone: operator.1 - left.0,
                    order: (2, 0),
                    text: "match (".to_owned(),
                },
                close(
                    right.1,
                    whole.0,
                    format!(
                        ") {{ __r => {} }}",
                        choice(group, |op| format!("{target} {op} __r;"), own)
                    ),
                ),
            ];
            return Some(edits);
        }
        _ => (
            "(match ((".to_owned(),
            "), (".to_owned(),
            format!(
                ")) {{ (__l, __r) => {} }})",
                choice(group, |op| format!("__l {op} __r"), own)
            ),
        ),
    };
    Some(vec![
        open(left.0, whole.1, begin),
        instead(operator, middle),
        close(right.1, whole.0, end),
    ])
}

fn unary(
    offsets: &Offsets<'_>,
    places: &Places,
    start: Place,
    group: &[(usize, &Change)],
) -> Option<Vec<Edit>> {
    let inner = offsets.ends(*places.unary.get(&(start.line, start.column))?);
    let at = offsets.place(start);
    let (number, _) = group.first()?;
    Some(vec![
        open(at, inner.1, "((".to_owned()),
        close(inner.1, at, format!(") != {})", on(*number))),
    ])
}

fn guard(text: &str, offsets: &Offsets<'_>, group: &[(usize, &Change)]) -> Option<Vec<Edit>> {
    let (_, first) = group.first()?;
    let (at, end) = (
        offsets.place(first.span.start),
        offsets.place(first.span.end),
    );
    if text[at..end].contains("let ") {
        return None;
    }
    let (mut before, mut after) = (String::new(), String::new());
    for (number, change) in group {
        match change.replacement.as_str() {
            "true" => before = format!("{} || ", on(*number)),
            _ => after = format!(" && !{}", on(*number)),
        }
    }
    Some(vec![
        // Around a change of the whole condition, which begins and ends where it does.
        open(at, end + 1, format!("({before}((")),
        close(end, at - 1, format!("){after}))")),
    ])
}

/// An arm that never fits, where the others fit all there is.
fn arm(
    offsets: &Offsets<'_>,
    places: &Places,
    start: Place,
    group: &[(usize, &Change)],
) -> Option<Vec<Edit>> {
    let (arrow, guarded) = places.arms.get(&(start.line, start.column))?;
    let at = offsets.ends(*arrow).0;
    let (number, _) = group.first()?;
    let word = if *guarded { "&&" } else { "if" };
    Some(vec![close(at, at, format!("{word} !{} ", on(*number)))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(genre: &str, replacement: &str, from: (usize, usize)) -> Change {
        let start = Place {
            line: from.0,
            column: from.1,
        };
        Change {
            file: "lib.rs".to_owned(),
            name: replacement.to_owned(),
            genre: genre.to_owned(),
            replacement: replacement.to_owned(),
            span: Range { start, end: start },
        }
    }

    #[test]
    fn an_error_in_one_of_two_answers_is_about_that_one() {
        let text = "fn f() -> Option<u8> {\n    Some(1)\n}\n";
        let none = change("FnValue", "None", (2, 5));
        let wrong = change("FnValue", "Some(\"\")", (2, 5));
        let woven = weave(text, &[(3, &none), (7, &wrong)]).unwrap();
        let line = woven.text.lines().nth(1).unwrap();
        let column = |part: &str| 1 + line.find(part).unwrap();
        assert_eq!(woven.about(2, column("None")), [3]);
        assert_eq!(woven.about(2, column("Some(\"\")")), [7]);
        assert_eq!(woven.about(2, 1), [3, 7]);
    }

    #[test]
    fn an_arm_is_taken_away_by_a_guard_that_never_holds() {
        let text = "fn f(x: u8) -> u8 {\n    match x {\n        1 => 2,\n        3 if x > 0 => 4,\n        _ => 5,\n    }\n}\n";
        let first = change("MatchArm", "", (3, 9));
        let second = change("MatchArm", "", (4, 9));
        let woven = weave(text, &[(0, &first), (1, &second)]).unwrap();
        assert!(woven.text.contains("1 if !crate::__changed::on(0) => 2,"));
        assert!(
            woven
                .text
                .contains("3 if x > 0 && !crate::__changed::on(1) => 4,")
        );
    }

    #[test]
    fn a_guard_and_the_comparison_that_it_is_are_changed_side_by_side() {
        let text = "fn f(x: u8) -> u8 {\n    match x {\n        y if y > 3 => 1,\n        _ => 2,\n    }\n}\n";
        let mut always = change("MatchArmGuard", "true", (3, 14));
        always.span.end = Place {
            line: 3,
            column: 19,
        };
        let equal = change("BinaryOperator", "==", (3, 16));
        let woven = weave(text, &[(0, &always), (1, &equal)]).unwrap();
        assert!(syn::parse_file(&woven.text).is_ok(), "{}", woven.text);
    }
}
