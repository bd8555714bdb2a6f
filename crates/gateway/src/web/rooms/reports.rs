//! Reports of evals: which there are, and the answers of both arms side by side, regressions first.

use axum::extract::{Path, Query, State};
use instar_release::lineage::report_address;
use instar_release::text_diff;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path as File, PathBuf};

use crate::app::AppState;
use crate::door::Caller;
use crate::problem::ApiProblem;
use crate::web::frame::{Frame, Tab, beginning, empty, short};
use crate::web::pages::Refused;
use crate::web::words::{Reader, Words};

/// Reports that are listed, the newest first, and the most bytes of one.
const LISTED_MAX: usize = 100;
const BYTES_MAX: u64 = 32 << 20;
/// Cases that are shown, and characters of an answer.
const CASES_MAX: usize = 200;
const ANSWER_CHARS_MAX: usize = 4_000;

/// A report as far as it is shown.
#[derive(Deserialize, Debug, Default)]
#[serde(default)]
struct Report {
    suite: String,
    suite_digest: String,
    arms: Vec<ArmOf>,
    comparison: Option<Found>,
    flaky: Vec<Flaky>,
    /// Its content has the address that it is kept under.
    #[serde(skip)]
    is_whole: bool,
}

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
struct ArmOf {
    name: String,
    release: Option<String>,
    rows: Vec<Row>,
}

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
struct Row {
    case: usize,
    column: usize,
    repeat: u32,
    name: String,
    outcome: String,
    reason: String,
    prompt: String,
    output: Value,
}

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
struct Found {
    pairs: usize,
    regressions: Vec<Value>,
    improvements: Vec<Value>,
    difference: f64,
    low: f64,
    high: f64,
    e_worse: f64,
    p_worse: f64,
    verdict: String,
}

#[derive(Deserialize, Debug, Default)]
#[serde(default)]
struct Flaky {
    name: String,
}

/// Which cases are shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum Change {
    Worse,
    Better,
    Other,
    #[default]
    Same,
}

#[derive(Deserialize, Debug, Default)]
pub(super) struct Filter {
    #[serde(default)]
    show: Option<Change>,
}

/// One case, as both arms answered it.
struct Case<'a> {
    change: Change,
    candidate: &'a Row,
    baseline: Option<&'a Row>,
}

pub(super) async fn list(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
) -> Result<Markup, Refused> {
    let folder = folder(&app);
    let reports = tokio::task::spawn_blocking(move || all(&folder)).await;
    let reports = reports.map_err(|_| ApiProblem::internal())?;
    let body = html! {
        p class="soft lead" { (words.reports_about) }
        @if reports.is_empty() { (empty(words.no_reports, words.no_reports_do)) } @else {
            div class="wide" tabindex="0" { table class="rows" {
                thead { tr { th scope="col" { (words.report) } th scope="col" { (words.suite) } th scope="col" { (words.arm) }
                    th scope="col" { (words.passed) } th scope="col" { (words.regressions) } th scope="col" { (words.verdict) } } }
                tbody { @for (name, one) in &reports { tr {
                    td class="main" { a href={ "/reports/" (name) } { (beginning(name)) } @if !one.is_whole { " " (not_whole(words)) } }
                    td { (one.suite) } td { (arms(one)) } td { (passed(one)) }
                    td { (one.comparison.as_ref().map_or_else(|| "–".to_owned(), |found| found.regressions.len().to_string())) }
                    td { (one.comparison.as_ref().map_or("–".to_owned(), |found| found.verdict.replace('_', " "))) }
                } } }
            } }
        }
    };
    Ok(Frame::new(&app, words, Tab::Releases)
        .await
        .titled(words.reports)
        .around(&body))
}

pub(super) async fn one(
    State(app): State<AppState>,
    _caller: Caller,
    Reader(words): Reader,
    Path(name): Path<String>,
    Query(filter): Query<Filter>,
) -> Result<Markup, Refused> {
    let is_digest = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let file = folder(&app).join(format!("{name}.json"));
    let report = match is_digest {
        true => tokio::task::spawn_blocking(move || read(&file))
            .await
            .ok()
            .flatten(),
        false => None,
    };
    let report = report.ok_or_else(|| ApiProblem::not_found("there is no such report"))?;
    if !report.is_whole {
        return Ok(Frame::new(&app, words, Tab::Releases)
            .await
            .titled(&format!("{} {}", words.report, beginning(&name)))
            .around(&html! { div class="trouble" role="alert" { (words.report_changed) } }));
    }
    let cases = cases(&report);
    let shown: Vec<&Case<'_>> = cases
        .iter()
        .filter(|case| filter.show.is_none_or(|show| case.change == show))
        .take(CASES_MAX)
        .collect();
    let title = format!("{} {}", words.report, beginning(&name));
    let body = html! {
        (facts(words, &report))
        (filters(words, &name, filter.show, &cases))
        @for case in &shown { (side_by_side(words, &report, case)) }
        @if shown.len() < cases.len() && filter.show.is_none() { p class="soft" { (shown.len()) " / " (cases.len()) } }
    };
    Ok(Frame::new(&app, words, Tab::Releases)
        .await
        .titled(&title)
        .around(&body))
}

fn folder(app: &AppState) -> PathBuf {
    app.state_dir.root().join("evals").join("reports")
}

fn all(folder: &File) -> Vec<(String, Report)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries
        .flatten()
        .filter(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|ending| ending == "json")
        })
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    files.sort();
    let newest = files.into_iter().rev().take(LISTED_MAX);
    newest
        .filter_map(|(_, file)| {
            let name = file.file_stem()?.to_string_lossy().into_owned();
            let mut report = read(&file)?;
            for arm in &mut report.arms {
                // Only the counts are shown.
                arm.rows.iter_mut().for_each(|row| row.output = Value::Null);
            }
            Some((name, report))
        })
        .collect()
}

/// A report, with whether it is what its name says.
fn read(file: &File) -> Option<Report> {
    let size = std::fs::metadata(file).ok()?.len();
    let bytes = (size <= BYTES_MAX).then(|| std::fs::read(file).ok())??;
    // What cannot be read any more was changed, too.
    let Ok(value) = serde_json::from_slice::<Value>(&bytes) else {
        return Some(Report::default());
    };
    let mut report: Report = serde_json::from_value(value.clone()).unwrap_or_default();
    let address = report_address(value);
    report.is_whole = file
        .file_stem()
        .is_some_and(|name| name == address.as_str());
    Some(report)
}

fn not_whole(words: &Words) -> Markup {
    html! { span class="mark warning" { (words.report_changed) } }
}

fn arms(report: &Report) -> String {
    let names: Vec<&str> = report.arms.iter().map(|arm| called(&arm.name)).collect();
    names.join(" / ")
}

fn passed(report: &Report) -> String {
    let of = |arm: &ArmOf| {
        let first = arm.rows.iter().filter(|row| row.repeat == 0);
        let passed = first.clone().filter(|row| row.outcome == "passed").count();
        format!("{passed} / {}", first.count())
    };
    report.arms.iter().map(of).collect::<Vec<_>>().join(" · ")
}

/// Every case once: those that got worse first, then those that got better.
fn cases(report: &Report) -> Vec<Case<'_>> {
    let (first, second) = (report.arms.first(), report.arms.get(1));
    let rows = first.map_or(&[][..], |arm| arm.rows.as_slice());
    let mut cases: Vec<Case<'_>> = rows
        .iter()
        .filter(|row| row.repeat == 0)
        .map(|row| beside(row, second))
        .collect();
    cases.sort_by_key(|case| case.change);
    cases
}

fn beside<'a>(row: &'a Row, second: Option<&'a ArmOf>) -> Case<'a> {
    let is_same = |other: &&Row| {
        (other.case, other.column, other.repeat) == (row.case, row.column, row.repeat)
    };
    let baseline = second.and_then(|arm| arm.rows.iter().find(is_same));
    Case {
        change: baseline.map_or(Change::Same, |baseline| change(row, baseline)),
        candidate: row,
        baseline,
    }
}

fn change(candidate: &Row, baseline: &Row) -> Change {
    let is_passed = |row: &Row| row.outcome == "passed";
    match (is_passed(candidate), is_passed(baseline)) {
        (false, true) => Change::Worse,
        (true, false) => Change::Better,
        _ if candidate.output != baseline.output => Change::Other,
        _ => Change::Same,
    }
}

fn facts(words: &Words, report: &Report) -> Markup {
    html! {
        dl class="facts" {
            div { dt { (words.suite) } dd { (report.suite) " " (short(&report.suite_digest)) } }
            @for arm in &report.arms {
                div { dt { (called(&arm.name)) } dd { @if let Some(release) = &arm.release { a href={ "/releases/" (release) } { (short(release)) } } } }
            }
            div { dt { (words.passed) } dd { (passed(report)) } }
            @if let Some(found) = &report.comparison {
                div { dt { (words.verdict) } dd { (found.verdict.replace('_', " ")) " · " (found.pairs) " · " (words.regressions) ": " (found.regressions.len()) " · " (words.improvements) ": " (found.improvements.len()) } }
                div { dt { (words.difference) } dd { (format!("{:+.1} % ({:+.1} – {:+.1})", 100.0 * found.difference, 100.0 * found.low, 100.0 * found.high)) } }
                div { dt { (words.evidence) } dd { (format!("{:.2} · p {:.3}", found.e_worse, found.p_worse)) } }
            }
            @if !report.flaky.is_empty() {
                div { dt { (words.flaky) } dd { @for one in &report.flaky { code { (one.name) } " " } } }
            }
        }
    }
}

fn filters(words: &Words, name: &str, now: Option<Change>, cases: &[Case<'_>]) -> Markup {
    let count = |change| cases.iter().filter(|case| case.change == change).count();
    let link = |show: Option<(Change, &str)>, told: &str, number: usize| {
        let query = show.map_or(String::new(), |(_, word)| format!("?show={word}"));
        let current = (now == show.map(|(change, _)| change)).then_some("page");
        html! { a href={ "/reports/" (name) (query) } aria-current=[current] { (told) " " (number) } " " }
    };
    html! {
        p class="filters" {
            (link(None, words.all_cases, cases.len()))
            (link(Some((Change::Worse, "worse")), words.regressions, count(Change::Worse)))
            (link(Some((Change::Better, "better")), words.improvements, count(Change::Better)))
            (link(Some((Change::Other, "other")), words.other_answer, count(Change::Other)))
            (link(Some((Change::Same, "same")), words.same_answer, count(Change::Same)))
        }
    }
}

fn side_by_side(words: &Words, report: &Report, case: &Case<'_>) -> Markup {
    let name = |at: usize| report.arms.get(at).map_or("", |arm| called(&arm.name));
    let (mine, theirs) = (answer(case.candidate), case.baseline.map(answer));
    let diff = theirs.as_ref().and_then(|theirs| changed(theirs, &mine));
    let bad = (case.change == Change::Worse).then_some("wrong");
    html! {
        article class="card case" {
            h3 { (case.candidate.name) " " span class={ "mark " (bad.unwrap_or_default()) } { (told(words, case.change)) } }
            @if !case.candidate.prompt.is_empty() { details { summary { (words.prompt) } pre { (cut(&case.candidate.prompt)) } } }
            div class="sides" {
                @if let (Some(row), Some(text)) = (case.baseline, &theirs) { (side(name(1), row, text)) }
                (side(name(0), case.candidate, &mine))
            }
            @if let Some(diff) = diff { details open[case.change == Change::Worse] { summary { (words.compare) } (super::releases::lines_of(&diff)) } }
        }
    }
}

/// What changed between two answers, without the head of a file.
fn changed(before: &str, after: &str) -> Option<String> {
    let diff = text_diff("", &format!("{before}\n"), &format!("{after}\n"))?;
    let lines: Vec<&str> = diff.lines().skip(2).collect();
    Some(lines.join("\n"))
}

/// A release is called by the beginning of its hash.
fn called(name: &str) -> &str {
    let is_hash = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { beginning(name) } else { name }
}

fn side(name: &str, row: &Row, text: &str) -> Markup {
    html! {
        section {
            h4 { (name) " " span class={ "mark " (row.outcome) } { (row.outcome) } }
            pre { (text) }
            @if !row.reason.is_empty() { p class="soft" { (cut(&row.reason)) } }
        }
    }
}

fn told(words: &Words, change: Change) -> &str {
    match change {
        Change::Worse => words.got_worse,
        Change::Better => words.got_better,
        Change::Other => words.other_answer,
        Change::Same => words.same_answer,
    }
}

fn answer(row: &Row) -> String {
    match &row.output {
        Value::String(text) => cut(text),
        Value::Null => String::new(),
        other => cut(&format!("{other:#}")),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(ANSWER_CHARS_MAX).collect()
}
