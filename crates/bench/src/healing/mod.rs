//! `cargo xtask bench healing`: planted faults with hidden rates, fixes with hidden effects, and what the
//! trials make of them, beside the popular rule. The simulator knows no recipe, and the trials know no
//! hidden number.

mod campaign;
mod cells;
mod figure;
mod gateway;
mod months;
mod rows;
mod season;
mod world;

use clap::Args;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::report::{progress, say};
use campaign::{Campaign, Rollback};
use cells::Cell;
use season::Season;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Runs of a cell in which there is nothing to find; a tenth of it for the others
    #[arg(long, default_value_t = 20_000)]
    runs: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Planted faults through a real gateway first, each verdict worked out again from its log
    #[arg(long)]
    gateway: bool,
    /// So many months of events through a real gateway, and nothing else
    #[arg(long, value_parser = clap::value_parser!(u32).range(3..=60))]
    months: Option<u32>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    if let Some(count) = options.months {
        let months = months::run(count, options.seed).await?;
        if options.json {
            say(&months.json().to_string());
        } else {
            months.print();
        }
        return Ok(());
    }
    let through = if options.gateway {
        progress("through a real gateway");
        gateway::run(options.seed).await?
    } else {
        Vec::new()
    };
    let cells = measured(cells::cells(), |cell| {
        progress(&cell.name());
        cell.measure(options.runs, options.seed);
    });
    let few = (options.runs / 20).max(1);
    let campaigns = [(5, 10), (7, 10), (9, 10), (10, 10)];
    let campaigns = campaigns.map(|(useless, of)| Campaign::new(useless, of));
    let campaigns = measured(campaigns.to_vec(), |campaign| {
        progress("fixes by the month");
        campaign.measure(few, options.seed);
    });
    let bases = [0.02, 0.05, 0.1, 0.2, 0.5];
    let seasons: Vec<Season> = bases.map(|base| Season::new(base, true)).to_vec();
    let controls: Vec<Season> = bases.map(|base| Season::new(base, false)).to_vec();
    let houses = (options.runs / 200).max(1);
    let seasons = measured([seasons, controls].concat(), |season| {
        progress("a house that learns");
        season.measure(houses, options.seed);
    });
    let mut rollback = Rollback::default();
    rollback.measure(few, options.seed);
    if options.json {
        let runs: Vec<Value> = cells.iter().map(Cell::json).collect();
        let months: Vec<Value> = campaigns.iter().map(Campaign::json).collect();
        let told = json!({
            "seed": options.seed,
            "runs": runs,
            "adoption": months,
            "seasons": seasons.iter().map(Season::json).collect::<Vec<_>>(),
            "rollback": rollback.json(),
            "gateway": through.iter().map(gateway::Through::json).collect::<Vec<_>>(),
        });
        say(&told.to_string());
    } else {
        let mut before = String::new();
        cells.iter().for_each(|cell| cell.print(&mut before));
        say("adopted by itself, ten slots of a month, base 0.1: false discoveries");
        campaigns.iter().for_each(Campaign::print);
        seasons.iter().for_each(Season::print);
        rollback.print();
        through.iter().for_each(gateway::Through::print);
    }
    Ok(())
}

/// Does the work of each on as many threads as there are cores, and gives them back in order.
fn measured<T: Send>(all: Vec<T>, work: impl Fn(&mut T) + Sync) -> Vec<T> {
    let all: Vec<Mutex<T>> = all.into_iter().map(Mutex::new).collect();
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let _worker = scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let mut one = one
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    work(&mut one);
                }
            });
        }
    });
    let unlocked = |one: Mutex<T>| {
        one.into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    };
    all.into_iter().map(unlocked).collect()
}
