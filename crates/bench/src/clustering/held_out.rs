//! What a setting that was chosen on other systems is worth on one: each system in turn is kept out, the
//! setting that is best on the others is chosen from a grid, and measured on it.

use instar_improve::cluster::Setting;
use serde_json::{Map, Value, json};

use super::data::System;
use super::{grouped, print_row};
use crate::report::say;

const PLAIN: [usize; 6] = [3, 4, 5, 6, 8, 10];
const ODD: [usize; 5] = [2, 3, 4, 5, 6];
const FIRST: [usize; 5] = [6, 9, 12, 16, 24];

/// What came of one system that was kept out.
#[derive(Debug)]
pub(super) struct Kept {
    name: String,
    setting: Setting,
    ga: f64,
    fga: f64,
}

pub(super) fn measure(systems: &[System]) -> Vec<Kept> {
    if systems.len() < 2 {
        return Vec::new();
    }
    let grid = grid();
    let figures: Vec<Vec<(f64, f64)>> = grid
        .iter()
        .map(|setting| {
            let of = systems.iter().map(|system| {
                let score = grouped(system, *setting).score;
                (score.ga, score.fga)
            });
            of.collect()
        })
        .collect();
    let kept = systems.iter().enumerate().map(|(out, system)| {
        let worth = |figures: &[(f64, f64)]| -> f64 {
            let others = figures.iter().enumerate().filter(|(at, _)| *at != out);
            others.map(|(_, (ga, fga))| ga + fga).sum()
        };
        // Of equally good settings the first, so that a run says what the last one said.
        let mut best = 0;
        for at in 1..grid.len() {
            if worth(&figures[at]) > worth(&figures[best]) + 1e-9 {
                best = at;
            }
        }
        let (ga, fga) = figures[best][out];
        Kept {
            name: system.name.clone(),
            setting: grid[best],
            ga,
            fga,
        }
    });
    kept.collect()
}

fn grid() -> Vec<Setting> {
    let mut grid = Vec::new();
    for plain in PLAIN {
        for odd in ODD {
            grid.extend(FIRST.map(|first| Setting { plain, odd, first }));
        }
    }
    grid
}

fn mean(kept: &[Kept]) -> (f64, f64) {
    let count = kept.iter().map(|_| 1.0).sum::<f64>().max(1.0);
    let sum = |of: fn(&Kept) -> f64| kept.iter().map(of).sum::<f64>() / count;
    (sum(|one| one.ga), sum(|one| one.fga))
}

pub(super) fn json(kept: &[Kept]) -> Value {
    let row = |one: &Kept| {
        let Setting { plain, odd, first } = one.setting;
        let setting = json!({ "plain": plain, "odd": odd, "first": first });
        (
            one.name.clone(),
            json!({ "ga": one.ga, "fga": one.fga, "setting": setting }),
        )
    };
    let (ga, fga) = mean(kept);
    let systems: Map<_, _> = kept.iter().map(row).collect();
    json!({ "systems": systems, "mean": { "ga": ga, "fga": fga } })
}

pub(super) fn print(kept: &[Kept]) {
    if kept.is_empty() {
        return;
    }
    say("each system with the setting that is best on the others:");
    for one in kept {
        let Setting { plain, odd, first } = one.setting;
        say(&format!(
            "{:<14} {:>7.3} {:>7.3}   plain {plain}, odd {odd}, first {first}",
            one.name, one.ga, one.fga
        ));
    }
    let (ga, fga) = mean(kept);
    print_row("grouping accuracy, kept out", ga, 0.85);
    print_row("F1 over groups, kept out", fga, 0.80);
}
