//! The judge: a confined job of the gateway's own executable that runs suites on a candidate and on what
//! is stable, and says what came of it. It has no network and no file but an empty folder of its own.

use instar_evals::{
    AgentProviders, Arm, ArmReport, Files, Finding, Options, Report, Suite, SuiteError, builtin,
    run,
};
use instar_protocol::judge::{
    Case, FILES_MAX, File, Judged, NAMED_MAX, SUITES_MAX, Said, SuiteText, TOLD_CHARS_MAX, Verdict,
    Work,
};
use instar_release::Behaviour;
use instar_sandbox::confined::{LineError, Post};
use serde_json::Value;
use std::collections::BTreeMap;

/// Does all of it; the exit code tells where nobody is there to be told.
pub(crate) fn judge(mut post: Post) -> u8 {
    u8::from(sit(&mut post).is_err())
}

fn sit(post: &mut Post) -> Result<(), LineError> {
    let work: Work = post.hear()?;
    let behaviours =
        behaviour(&work.candidate).and_then(|new| Ok((new, behaviour(&work.baseline)?)));
    match behaviours {
        Ok((candidate, baseline)) => {
            let (candidate, baseline) =
                (AgentProviders::of(candidate), AgentProviders::of(baseline));
            for text in work.suites.iter().take(SUITES_MAX) {
                let said = match one(&work, text, [&candidate, &baseline]) {
                    Ok(report) => said(&text.name, &report),
                    Err(error) => unable(&text.name, &error.to_string()),
                };
                post.tell(&said)?;
            }
        }
        Err(why) => post.tell(&unable("", &why))?,
    }
    post.tell(&Said::Done)
}

fn behaviour(value: &Value) -> Result<Behaviour, String> {
    serde_json::from_value(value.clone()).map_err(|error| error.to_string())
}

fn one(work: &Work, text: &SuiteText, arms: [&AgentProviders; 2]) -> Result<Report, SuiteError> {
    let suite = suite(text)?;
    let arm = |name: &str, providers| Arm {
        name: name.to_owned(),
        release: None,
        providers,
    };
    let options = Options {
        repeat: work.repeat,
        seed: work.seed,
        ..Options::default()
    };
    run(
        &suite,
        &[arm("candidate", arms[0]), arm("stable", arms[1])],
        &options,
    )
}

fn suite(text: &SuiteText) -> Result<Suite, SuiteError> {
    if text.name.starts_with(builtin::PREFIX) {
        return builtin::suite(&text.name);
    }
    // The job ends with the work: what the files take is given back then.
    let kept = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
    let files: Vec<(&'static str, &'static str)> = text
        .files
        .iter()
        .map(|(name, text)| (kept(name), kept(text)))
        .collect();
    Suite::read(&text.name, &Files::embedded(&files))
}

fn said(name: &str, report: &Report) -> Said {
    let Some(found) = &report.comparison else {
        return unable(name, "it compared nothing");
    };
    let worse = found.regressions.iter().take(NAMED_MAX).map(|one| Case {
        name: cut(&one.name),
        reason: cut(&one.reason),
    });
    Said::Judged(Judged {
        suite: cut(name),
        suite_digest: report.suite_digest.clone(),
        report_digest: report.digest(),
        datasets: report
            .datasets
            .iter()
            .take(FILES_MAX)
            .map(|one| File {
                name: cut(&one.name),
                digest: one.digest.clone(),
            })
            .collect(),
        reach: reach(report),
        verdict: match found.verdict {
            Finding::NoData => Verdict::NoData,
            Finding::Worse => Verdict::Worse,
            Finding::Regressed => Verdict::Regressed,
            Finding::Better => Verdict::Better,
            Finding::NoRegression => Verdict::NoRegression,
        },
        pairs: found.pairs as u64,
        undecided: found.undecided as u64,
        passed: (found.both_passed + found.improvements.len()) as u64,
        flaky: report.flaky.len() as u64,
        worse: worse.collect(),
        better: found.improvements.len() as u64,
        difference: found.difference,
        low: found.low,
        high: found.high,
    })
}

/// The tools with which the first arm came further than the second: a call that is refused now and was let
/// through before reaches for nothing more.
fn reach(report: &Report) -> Vec<String> {
    let furthest = |arm: Option<&ArmReport>| {
        let rows = arm.map_or(&[][..], |arm| arm.rows.as_slice());
        let calls = rows
            .iter()
            .filter_map(|row| row.metadata.get("calls")?.as_array());
        let mut tools = BTreeMap::<String, Came>::new();
        for (tool, came) in calls.flatten().filter_map(came) {
            let furthest = tools.entry(tool).or_insert(came);
            *furthest = came.max(*furthest);
        }
        tools
    };
    let mut arms = report.arms.iter();
    let (candidate, stable) = (furthest(arms.next()), furthest(arms.next()));
    let is_new = |(tool, came): &(&String, &Came)| stable.get(*tool).is_none_or(|was| was < came);
    let new = candidate.iter().filter(is_new).take(NAMED_MAX);
    new.map(|(tool, came)| cut(&format!("{tool} ({})", came.word())))
        .collect()
}

/// How far a call came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    Denied,
    Asked,
    Allowed,
}

impl Came {
    fn word(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Asked => "asked",
            Self::Allowed => "allowed",
        }
    }
}

fn came(call: &Value) -> Option<(String, Came)> {
    let said = call["decision"].as_str();
    let came = match said.or_else(|| call["decision"]["decision"].as_str()) {
        Some("denied") => Came::Denied,
        Some("asked") => Came::Asked,
        // What nobody decided about ran.
        _ => Came::Allowed,
    };
    Some((call["tool"].as_str()?.to_owned(), came))
}

fn unable(suite: &str, why: &str) -> Said {
    Said::Unable {
        suite: cut(suite),
        why: cut(why),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TOLD_CHARS_MAX).collect()
}
