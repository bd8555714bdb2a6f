//! `cargo xtask bench rollout`: simulated traffic through the controller of rollouts, beside what others
//! decide with.

mod back;
mod gateway;
mod kept;
mod rivals;
mod way;
mod world;

use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::report::{progress, row, say};
use back::Back;
use kept::{Kept, Row};
use way::{NARROW, Rival, Way};
pub(crate) use world::Dice;
use world::{Effect, Weather, World};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Runs of a cell with a bar, or in which there is nothing to find; a tenth of it for the others
    #[arg(long, default_value_t = 20_000)]
    runs: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rollouts through a real gateway first, worked out again from its log
    #[arg(long)]
    gateway: bool,
    /// Only rows with this in their names
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Keeps each row that is done in this file, and goes on from there the next time
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// The chance of a wrong verdict that is allowed.
const LEVEL: f64 = 0.05;
/// The margin of the plans that are shipped.
const WIDE: f64 = 0.05;

/// One row of the table.
#[derive(Clone, Debug)]
struct Cell {
    world: World,
    way: Way,
    runs: u64,
    rollbacks: u64,
    promotions: u64,
    /// When it was taken back: units of the candidate, or pairs.
    after: Vec<u32>,
}

/// What a row has to show.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Bar {
    FalseRollback,
    FalsePromotion,
    /// So many are caught at least, in the middle after so many at the most.
    Caught(f64, u32),
    Median(u32),
}

pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let (through, back) = if options.gateway {
        progress("through a real gateway");
        let (through, back) = gateway::run().await?;
        (through, Some(back))
    } else {
        (Vec::new(), None)
    };
    let kept = options.keep.as_deref();
    let kept = kept.map(|path| Kept::open(path, options.seed, options.runs));
    let cells = measured(options, kept.transpose()?.as_ref())?;
    let met = cells.iter().all(|cell| cell.met() != Some(false))
        && through.iter().all(gateway::Through::met)
        && back.as_ref().is_none_or(Back::met);
    if options.json {
        let runs: Vec<Value> = cells.iter().map(Cell::json).collect();
        let through: Vec<Value> = through.iter().map(gateway::Through::json).collect();
        let all = json!({ "seed": options.seed, "met": met, "runs": runs, "gateway": through, "back": back.as_ref().map(Back::json) });
        say(&all.to_string());
    } else {
        print(&cells);
        for one in &through {
            one.print();
        }
        if let Some(back) = &back {
            back.print();
        }
    }
    anyhow::ensure!(met, "a bar is not met");
    Ok(())
}

/// Every row, by as many threads as there are cores.
fn measured(options: &Options, kept: Option<&Kept>) -> anyhow::Result<Vec<Cell>> {
    let rows: Vec<(World, Way)> = worlds()
        .into_iter()
        .flat_map(|world| ways(world).into_iter().map(move |way| (world, way)))
        .filter(|(world, way)| {
            let only = options.only.as_deref().unwrap_or_default();
            name(world, *way).contains(only)
        })
        .collect();
    let next = AtomicUsize::new(0);
    let cells: Mutex<Vec<(usize, anyhow::Result<Cell>)>> = Mutex::default();
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let _worker = scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((world, way)) = rows.get(at) else {
                        return;
                    };
                    let measured = Cell::known_or_measured(*world, *way, options, kept);
                    let mut cells = cells
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    cells.push((at, measured));
                }
            });
        }
    });
    let mut cells = cells
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    cells.sort_by_key(|(at, _)| *at);
    cells.into_iter().map(|(_, cell)| cell).collect()
}

fn name(world: &World, way: Way) -> String {
    format!("{}, {}", world.name(), way.name())
}

fn worlds() -> Vec<World> {
    let steady = |base, effect| World {
        base,
        effect,
        weather: Weather::Steady,
    };
    let in_weather = |effect, weather| World {
        base: 0.05,
        effect,
        weather,
    };
    let mut worlds = Vec::new();
    for base in [0.01, 0.05, 0.1, 0.2] {
        for effect in [
            Effect::None,
            Effect::Worse(NARROW),
            Effect::Worse(WIDE),
            Effect::Times(1.5),
            Effect::Times(2.0),
            Effect::Times(3.0),
        ] {
            worlds.push(steady(base, effect));
        }
    }
    worlds.push(steady(0.05, Effect::Times(6.0)));
    worlds.push(steady(0.05, Effect::Better(0.5)));
    worlds.push(steady(0.05, Effect::Delayed(400, 2.0)));
    worlds.push(steady(0.05, Effect::Cohort(0.2, 6.0)));
    for weather in [
        Weather::Drift,
        Weather::Bursts,
        Weather::Episodes,
        Weather::Delay,
        Weather::Feedback,
    ] {
        for effect in [
            Effect::None,
            Effect::Worse(NARROW),
            Effect::Worse(WIDE),
            Effect::Times(2.0),
        ] {
            worlds.push(in_weather(effect, weather));
        }
    }
    worlds.push(in_weather(Effect::None, Weather::Leak(0.5)));
    for part in [0.25, 0.5, 1.0] {
        worlds.push(in_weather(Effect::Times(3.0), Weather::Leak(part)));
    }
    worlds
}

/// Who decides in a world.
fn ways(world: World) -> Vec<Way> {
    let is_base = world.weather == Weather::Steady && (world.base - 0.05).abs() < 1e-9;
    let mut ways = vec![Way::Alone, Way::Shipped];
    // Where turns of an episode hang together, or one arm reaches the other, a pair means something else.
    if matches!(
        world.weather,
        Weather::Steady | Weather::Drift | Weather::Bursts
    ) {
        ways.extend([Way::Paired, Way::After]);
    }
    if is_base && matches!(world.effect, Effect::None | Effect::Times(6.0)) {
        ways.extend([Way::Few, Way::FewAfter]);
    }
    ways.extend(Rival::ALL.map(Way::Rival));
    // Worse by one margin says nothing of a way with another one.
    if let Effect::Worse(by) = world.effect {
        ways.retain(|way| way.margin().is_none_or(|margin| (margin - by).abs() < 1e-9));
    }
    ways
}

impl Cell {
    fn known_or_measured(
        world: World,
        way: Way,
        options: &Options,
        kept: Option<&Kept>,
    ) -> anyhow::Result<Self> {
        let name = name(&world, way);
        let mut cell = Self::empty(world, way, options);
        if let Some(row) = kept.and_then(|kept| kept.row(&name)) {
            (cell.rollbacks, cell.promotions) = (row.rollbacks, row.promotions);
            cell.after.clone_from(&row.after);
            return Ok(cell);
        }
        progress(&name);
        cell.measure(options.seed);
        if let Some(kept) = kept {
            kept.keep(&Row {
                name,
                rollbacks: cell.rollbacks,
                promotions: cell.promotions,
                after: cell.after.clone(),
            })?;
        }
        Ok(cell)
    }

    fn empty(world: World, way: Way, options: &Options) -> Self {
        let mut cell = Self {
            world,
            way,
            runs: 0,
            rollbacks: 0,
            promotions: 0,
            after: Vec::new(),
        };
        cell.runs = if cell.bar().is_some() || cell.is_no_worse() {
            options.runs
        } else {
            (options.runs / 10).max(1)
        };
        cell
    }

    fn measure(&mut self, seed: u64) {
        for run in 0..self.runs {
            let ended = self.way.run(&self.world, seed, run);
            self.rollbacks += u64::from(ended.rolled_back.is_some());
            self.promotions += u64::from(ended.promoted);
            self.after.extend(ended.rolled_back);
        }
        self.after.sort_unstable();
    }

    fn rate(count: u64, runs: u64) -> f64 {
        to_f64(count) / to_f64(runs)
    }

    /// The lower bound of the rate at 99 %, by Wilson.
    fn lower(count: u64, runs: u64) -> f64 {
        const Z: f64 = 2.326;
        let (n, p) = (to_f64(runs), Self::rate(count, runs));
        let middle = p + Z * Z / (2.0 * n);
        let spread = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        (middle - spread) / (1.0 + Z * Z / n)
    }

    fn is_no_worse(&self) -> bool {
        matches!(self.world.effect, Effect::None | Effect::Better(_))
    }

    /// Taken back although it is no worse.
    fn false_rollback(&self) -> Option<f64> {
        self.is_no_worse()
            .then(|| Self::rate(self.rollbacks, self.runs))
    }

    /// Promoted although it is worse by the margin. Who promotes nothing has no such rate.
    fn false_promotion(&self) -> Option<f64> {
        let is_null = self.way.is_ours() && matches!(self.world.effect, Effect::Worse(_));
        is_null.then(|| Self::rate(self.promotions, self.runs))
    }

    fn caught(&self) -> Option<f64> {
        (!self.is_no_worse()).then(|| Self::rate(self.rollbacks, self.runs))
    }

    /// When this part of all runs was decided; never, if that many were not.
    fn after(&self, part: f64) -> Option<u32> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place in a list of runs"
        )]
        let place = (part * to_f64(self.runs)).ceil() as usize;
        self.after.get(place.saturating_sub(1)).copied()
    }

    fn json(&self) -> Value {
        json!({
            "base": self.world.base,
            "effect": self.world.effect.name(),
            "weather": self.world.weather.name(),
            "method": self.way.name(),
            "runs": self.runs,
            "false_rollback": self.false_rollback(),
            "false_promotion": self.false_promotion(),
            "caught": self.caught(),
            "promoted": Self::rate(self.promotions, self.runs),
            "median_events": self.after(0.5),
            "p90_events": self.after(0.9),
            "bar": self.bar().map(Bar::words),
            "met": self.met(),
        })
    }

    fn bar(&self) -> Option<Bar> {
        if !self.way.is_ours() {
            return None;
        }
        if self.is_no_worse() {
            return Some(Bar::FalseRollback);
        }
        let times = match self.world.effect {
            Effect::Worse(_) => return Some(Bar::FalsePromotion),
            Effect::Times(times) => times,
            _ => return None,
        };
        let is_base =
            self.world.weather == Weather::Steady && (self.world.base - 0.05).abs() < 1e-9;
        match (self.way, times) {
            _ if !is_base => None,
            (Way::Paired, 2.0) => Some(Bar::Caught(0.99, 150)),
            (Way::Paired, 3.0) => Some(Bar::Caught(0.99, 70)),
            (Way::Alone | Way::Shipped, 2.0) => Some(Bar::Caught(0.80, 320)),
            (Way::Few | Way::FewAfter, 6.0) => Some(Bar::Median(15)),
            _ => None,
        }
    }

    fn met(&self) -> Option<bool> {
        let is_by = |median| self.after(0.5).is_some_and(|units| units <= median);
        Some(match self.bar()? {
            Bar::FalseRollback => Self::lower(self.rollbacks, self.runs) <= LEVEL,
            Bar::FalsePromotion => Self::lower(self.promotions, self.runs) <= LEVEL,
            Bar::Caught(rate, median) => {
                self.caught().is_some_and(|caught| caught >= rate) && is_by(median)
            }
            Bar::Median(median) => is_by(median),
        })
    }
}

impl Bar {
    fn words(self) -> String {
        match self {
            Self::FalseRollback => "false rollback <= 0.05".to_owned(),
            Self::FalsePromotion => "false promotion <= 0.05".to_owned(),
            Self::Caught(rate, median) => format!("caught >= {rate}, median <= {median}"),
            Self::Median(median) => format!("median <= {median}"),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of runs")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

fn print(cells: &[Cell]) {
    let mut world = String::new();
    for cell in cells {
        let here = cell.world.name();
        if here != world {
            say(&here);
            world = here;
        }
        let units = |part| {
            cell.after(part)
                .map_or_else(|| "-".to_owned(), |at| at.to_string())
        };
        let figure = format!(
            "back {:.4}, on {:.4}, {} / {}",
            Cell::rate(cell.rollbacks, cell.runs),
            Cell::rate(cell.promotions, cell.runs),
            units(0.5),
            units(0.9)
        );
        let bar = cell.bar().map(Bar::words).unwrap_or_default();
        row(&format!("  {}", cell.way.name()), &figure, &bar, cell.met());
    }
}
