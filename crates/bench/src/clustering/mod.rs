//! `cargo xtask bench clustering`: how well messages are grouped, on logs whose templates people wrote
//! down, with one setting for all systems, beside Drain3 in the same run.

mod data;
mod drain;
mod held_out;
mod score;

use clap::Args;
use instar_improve::cluster::{Miner, Setting};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use crate::report::{progress, row, say};
use data::System;
use score::Score;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The folder with one folder of log and templates for each system
    #[arg(long)]
    data: Option<PathBuf>,
    /// Names each group that is not exactly right
    #[arg(long)]
    verbose: bool,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// Where the logs lie if nobody says where.
const FOLDERS: [&str; 3] = [
    "data/loghub-2k",
    "../data/loghub-2k",
    "../shared/data/loghub-2k",
];

/// Passes over each log, each with a new miner; the median counts.
const PASSES: usize = 9;

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let usual = FOLDERS.iter().map(PathBuf::from).find(|path| path.is_dir());
    let Some(folder) = options.data.clone().or(usual) else {
        progress("skipped: there are no labelled logs here; name a folder with --data");
        if options.json {
            say(&json!({ "skipped": "no labelled logs" }).to_string());
        }
        return Ok(());
    };
    let systems = data::read(&folder)?;
    let ours: Vec<(String, Score)> = systems
        .iter()
        .map(|system| (system.name.clone(), measure(system, options.verbose)))
        .collect();
    let theirs = drain::measure(&systems)?;
    let kept_out = held_out::measure(&systems);
    let mut whole = json!({
        "systems": table(&ours), "mean": mean(&ours).json(), "held_out": held_out::json(&kept_out),
    });
    if let Some(theirs) = &theirs {
        let mut drain3 = mean(theirs).json();
        drain3["systems"] = table(theirs);
        whole["drain3"] = drain3;
        whole["speed_ratio"] = json!(mean(&ours).lines_per_s / mean(theirs).lines_per_s);
    }
    if options.json {
        say(&whole.to_string());
    } else {
        print(&ours, theirs.as_deref());
        held_out::print(&kept_out);
    }
    Ok(())
}

fn measure(system: &System, verbose: bool) -> Score {
    let mut seconds: Vec<f64> = (0..PASSES).map(|_| one_pass(system)).collect();
    let Grouped {
        groups,
        texts,
        score,
    } = grouped(system, Setting::default());
    if verbose {
        let templates: Vec<&str> = groups.iter().map(|group| texts[group].as_str()).collect();
        for wrong in score::wrong(&groups, &templates, &system.truth) {
            progress(&format!("{}: {wrong}", system.name));
        }
    }
    score.timed(
        system.lines.len(),
        crate::machine::quantile(&mut seconds, 0.5),
    )
}

/// A log as a miner groups it.
struct Grouped {
    groups: Vec<u32>,
    texts: HashMap<u32, String>,
    score: Score,
}

fn grouped(system: &System, setting: Setting) -> Grouped {
    let mut miner = Miner::with(setting);
    let placed: Vec<u32> = system.lines.iter().map(|line| miner.add(line)).collect();
    let joins: HashMap<u32, u32> = miner
        .take_joins()
        .into_iter()
        .map(|join| (join.gone, join.kept))
        .collect();
    let groups: Vec<u32> = placed
        .into_iter()
        .map(|group| {
            std::iter::successors(Some(group), |group| joins.get(group).copied())
                .last()
                .unwrap_or(group)
        })
        .collect();
    let texts: HashMap<u32, String> = groups
        .iter()
        .map(|group| (*group, miner.template(*group).unwrap_or_default()))
        .collect();
    let templates: Vec<&str> = groups.iter().map(|group| texts[group].as_str()).collect();
    let score = Score::of(&groups, &templates, &system.truth);
    Grouped {
        groups,
        texts,
        score,
    }
}

fn one_pass(system: &System) -> f64 {
    let mut miner = Miner::default();
    let begun = Instant::now();
    for line in &system.lines {
        std::hint::black_box(miner.add(line));
    }
    begun.elapsed().as_secs_f64()
}

fn table(scores: &[(String, Score)]) -> Value {
    let rows = scores
        .iter()
        .map(|(name, score)| (name.clone(), score.json()));
    Value::Object(rows.collect::<Map<_, _>>())
}

fn mean(scores: &[(String, Score)]) -> Score {
    Score::mean(scores.iter().map(|(_, score)| *score))
}

fn print(ours: &[(String, Score)], theirs: Option<&[(String, Score)]>) {
    say("clustering: one setting for all systems");
    say(&format!(
        "{:<14} {:>7} {:>7} {:>7} {:>12}   {:>7} {:>7} {:>7} {:>12}",
        "", "ga", "fga", "pa", "lines/s", "drain3", "fga", "pa", "lines/s"
    ));
    for (index, (name, score)) in ours.iter().enumerate() {
        let beside = theirs.and_then(|theirs| theirs.get(index));
        say(&format!(
            "{name:<14} {}   {}",
            score.columns(),
            beside.map_or_else(String::new, |(_, score)| score.columns())
        ));
    }
    let mean_of_ours = mean(ours);
    print_row("grouping accuracy, mean", mean_of_ours.ga, 0.85);
    print_row("F1 over groups, mean", mean_of_ours.fga, 0.80);
    row(
        "parsing accuracy, mean",
        &format!("{:.3}", mean_of_ours.pa),
        "",
        None,
    );
    match theirs {
        Some(theirs) => {
            let ratio = mean_of_ours.lines_per_s / mean(theirs).lines_per_s;
            row(
                "lines per second against Drain3's",
                &format!("{ratio:.1} x"),
                ">= 10 x",
                Some(ratio >= 10.0),
            );
        }
        None => say("no Drain3 here to compare with (`cargo xtask test` installs it)"),
    }
}

fn print_row(name: &str, figure: f64, bar: f64) {
    row(
        name,
        &format!("{figure:.3}"),
        &format!(">= {bar:.2}"),
        Some(figure >= bar),
    );
}
