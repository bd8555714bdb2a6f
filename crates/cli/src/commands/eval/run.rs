//! `instar eval run`.

use instar_evals::{
    AgentProviders, Arm, Case, Counts, Finding, Folder, Grader, Options, Outcome, Report, Scripts,
    Suite, builtin, output, run as run_suite,
};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::arms::{Arms, Gateway, find};
use super::kept;
use super::scripts::Walled;
use crate::args::EvalRun;
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, visible};

/// Cases that did not pass and are named on the terminal.
const NAMED_MAX: usize = 50;

pub(super) async fn run(asked: &EvalRun, run: &Context) -> anyhow::Result<()> {
    let suite = match asked.suite.starts_with(builtin::PREFIX) {
        true => builtin::suite(&asked.suite),
        false => Suite::open(Path::new(&asked.suite)),
    };
    let suite = suite.map_err(|error| super::wrong(&error))?;
    asks_nothing(&suite, run.out);
    let gateway = Gateway::find(run).await?;
    let walled = asked.scripts.then(|| Arc::new(Walled::default()));
    let names: Vec<&String> = asked.candidate.iter().chain([&asked.baseline]).collect();
    let mut sides = Vec::new();
    for name in names {
        let found = find(name, run).await?;
        let arms = Arms {
            agent: AgentProviders::of(found.behaviour),
            gateway: gateway.clone(),
            scripts: walled.clone().map(|walled| walled as Arc<dyn Scripts>),
            rehearses: asked.candidate.as_ref().map(|_| name.clone()),
        };
        sides.push((name.clone(), found.id, arms));
    }
    let settings = Settings {
        repeat: asked.repeat,
        seed: asked.seed,
        jobs: usize::from(asked.jobs),
        scripts: walled,
        cache: kept::cache(run)?.filter(|_| !asked.no_cache),
        shows: crate::progress::can_be_shown(run),
    };
    let out = run.out;
    // Cases wait for their answers, each on a thread of its own.
    let (suite, report) = tokio::task::spawn_blocking(move || {
        let report = settings.run(&suite, &sides, gateway.as_ref(), out);
        report.map(|report| (suite, report))
    })
    .await?
    .map_err(|error| super::wrong(&error))?;
    write(asked, &suite, &report, run)?;
    kept::keep(&report, run)?;
    tell(&report, run)?;
    verdict(&report, asked.pass_rate)
}

/// A case without assertions passes whatever is answered, which is seldom meant.
fn asks_nothing(suite: &Suite, out: crate::out::Out) {
    let all = suite.cases.iter();
    let empty: Vec<String> = all
        .filter(|case| case.checks.is_empty())
        .map(Case::name)
        .collect();
    let Some(first) = empty.first() else {
        return;
    };
    let more = match empty.len() {
        1 => "has no `assert` and passes".to_owned(),
        more => format!("and {} more have no `assert` and pass", more - 1),
    };
    out.note(&visible(&format!("{first} {more}, whatever is answered")));
}

struct Settings {
    repeat: u32,
    seed: u64,
    jobs: usize,
    scripts: Option<Arc<Walled>>,
    cache: Option<Folder>,
    shows: bool,
}

impl Settings {
    fn run(
        &self,
        suite: &Suite,
        sides: &[(String, String, Arms)],
        gateway: Option<&Gateway>,
        out: crate::out::Out,
    ) -> Result<Report, instar_evals::SuiteError> {
        let arms: Vec<Arm<'_>> = sides
            .iter()
            .map(|(name, id, providers)| Arm {
                name: name.clone(),
                release: Some(id.clone()),
                providers,
            })
            .collect();
        let shown = AtomicUsize::new(0);
        let progress = |done: usize, of: usize| {
            let percent = done * 100 / of.max(1);
            if shown.fetch_max(percent, Ordering::Relaxed) < percent {
                out.progress(&line(percent, done, of));
            }
        };
        let report = run_suite(
            suite,
            &arms,
            &Options {
                repeat: self.repeat,
                seed: self.seed,
                jobs: self.jobs,
                grader: gateway.map(|gateway| gateway as &dyn Grader),
                scripts: self.scripts.as_deref().map(|walled| walled as &dyn Scripts),
                cache: self
                    .cache
                    .as_ref()
                    .map(|cache| cache as &dyn instar_evals::Cache),
                progress: if self.shows { Some(&progress) } else { None },
            },
        );
        if self.shows {
            out.progress("");
        }
        report
    }
}

fn line(percent: usize, done: usize, of: usize) -> String {
    let filled = percent / 5;
    let bar: String = (0..20)
        .map(|place| if place < filled { '=' } else { ' ' })
        .collect();
    format!("[{bar}] {done} of {of}")
}

fn write(asked: &EvalRun, suite: &Suite, report: &Report, run: &Context) -> anyhow::Result<()> {
    let put = |file: &Path, text: String| {
        std::fs::write(file, text)
            .map_err(|error| Failure::new(Code::Failed, format!("{}: {error}", file.display())))
    };
    if let Some(file) = &asked.promptfoo {
        let shaped = output::promptfoo(suite, report, 0, &written(run.now()));
        put(file, serde_json::to_string_pretty(&shaped)?)?;
    }
    if let Some(file) = &asked.junit {
        put(file, output::junit(report))?;
    }
    if let Some(file) = &asked.markdown {
        put(file, output::markdown(report))?;
    }
    Ok(())
}

fn written(at: instar_protocol::Timestamp) -> String {
    let millis = i64::try_from(at.millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| String::new(), |at| at.to_string())
}

fn tell(report: &Report, run: &Context) -> anyhow::Result<()> {
    if run.out.json() {
        return run.out.value(&report.to_value());
    }
    let rows: Vec<_> = report
        .arms
        .iter()
        .enumerate()
        .map(|(index, arm)| {
            let counts = report.counts(index);
            vec![
                (Style::Strong, visible(&arm.name)),
                (Style::Good, counts.passed.to_string()),
                (bad(counts.failed), counts.failed.to_string()),
                (bad(counts.errors), counts.errors.to_string()),
                (bad(counts.unsupported), counts.unsupported.to_string()),
                (bad(counts.flaky), counts.flaky.to_string()),
                (Style::Plain, format!("{:.1} %", counts.pass_rate())),
            ]
        })
        .collect();
    let head = [
        "arm",
        "passed",
        "failed",
        "errors",
        "unsupported",
        "flaky",
        "rate",
    ];
    run.out.table(&head, &rows);
    wrong_cases(report, run);
    for one in &report.flaky {
        let words = format!(
            "flaky {}: {} of {} passed in {}",
            one.name, one.passed, one.of, one.arm
        );
        run.out.line(&run.out.paint(Style::Warn, &visible(&words)));
    }
    if let Some(comparison) = &report.comparison {
        for line in comparison.lines() {
            run.out.line(&visible(&line));
        }
        for (title, style, changes) in [
            ("worse", Style::Bad, &comparison.regressions),
            ("better", Style::Good, &comparison.improvements),
        ] {
            for change in changes {
                let words = format!("  {title}: {}: {}", change.name, change.reason);
                run.out.line(&run.out.paint(style, &visible(&words)));
            }
        }
    }
    run.out.note(&format!("report sha256:{}", report.digest()));
    Ok(())
}

fn bad(count: usize) -> Style {
    if count == 0 { Style::Faint } else { Style::Bad }
}

/// Every case of the first arm that did not pass, with why.
fn wrong_cases(report: &Report, run: &Context) {
    let rows = report.arms.iter().take(1).flat_map(|arm| &arm.rows);
    let wrong: Vec<_> = rows
        .filter(|row| row.repeat == 0 && row.outcome != Outcome::Passed)
        .collect();
    for row in wrong.iter().take(NAMED_MAX) {
        let reason: String = row.reason.chars().take(300).collect();
        let words = format!("  {}: {reason}", row.name);
        run.out.line(&run.out.paint(Style::Bad, &visible(&words)));
    }
    if wrong.len() > NAMED_MAX {
        run.out.note(&format!(
            "and {} more; --markdown FILE lists them",
            wrong.len() - NAMED_MAX
        ));
    }
}

/// The exit code: nothing wrong, or cases that did not pass, or some that got worse.
fn verdict(report: &Report, pass_rate: f64) -> anyhow::Result<()> {
    let counts: Counts = report.counts(0);
    let worse = report
        .comparison
        .as_ref()
        .map(|found| (found.verdict, found.regressions.len()));
    let message = match worse {
        Some((Finding::NoData, _)) => "nothing was decided by both arms".to_owned(),
        Some((_, worse)) if worse > 0 => {
            format!("{worse} of {} cases got worse", counts.total())
        }
        _ if counts.pass_rate() < pass_rate => {
            let total = counts.total() - counts.flaky;
            format!("{} of {total} cases did not pass", total - counts.passed)
        }
        _ => return Ok(()),
    };
    Err(Failure::new(Code::Cases, message)
        .next("look at the cases named above, or write them out with --markdown FILE")
        .into())
}
