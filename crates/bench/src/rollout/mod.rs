//! `cargo xtask bench rollout`: simulated traffic through the controller of rollouts, beside what others
//! decide with.

mod gateway;
mod rivals;
mod world;

use clap::Args;
use instar_release::evidence::{Pair, Paired, Unit};
use instar_release::rollout::{Caps, EpisodeRules, Metric, Plan, Rollout, Settled, Stage, Step};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::report::{progress, row, say};
use rivals::Sums;
pub(crate) use world::Dice;
use world::{Effect, Weather, World};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Runs of a cell in which there is nothing to find; a tenth of it for the others
    #[arg(long, default_value_t = 20_000)]
    runs: u64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rollouts through a real gateway first, worked out again from its log
    #[arg(long)]
    gateway: bool,
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
}

/// The chance of a wrong verdict that is allowed.
const LEVEL: f64 = 0.05;
const SHARE: f64 = 0.5;
/// Units of a run over both arms, and pairs of one.
const UNITS: u32 = 1_200;
const PAIRS: u32 = 600;
/// How often both arms share their luck.
const SHARED: f64 = 0.8;
/// By this much worse may nothing be that is promoted.
const MARGIN: f64 = 0.02;
const METRIC: &str = "failed";

/// One row of the table.
#[derive(Clone, Debug)]
struct Cell {
    world: World,
    method: &'static str,
    runs: u64,
    rollbacks: u64,
    promotions: u64,
    /// When it was taken back: units of the candidate, or pairs.
    after: Vec<u32>,
}

/// How a run ended for one method.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    rolled_back: Option<u32>,
    promoted: bool,
}

const SPLIT: [&str; 5] = ["instar", "z-test", "threshold", "mann-whitney", "msprt"];
const PAIRED: &str = "instar, paired";

pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let through = if options.gateway {
        progress("through a real gateway");
        gateway::run().await?
    } else {
        Vec::new()
    };
    let worlds = worlds();
    let next = AtomicUsize::new(0);
    let cells: Mutex<Vec<(usize, Vec<Cell>)>> = Mutex::default();
    let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let _worker = scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(world) = worlds.get(at) else {
                        return;
                    };
                    progress(&format!(
                        "base {}, effect {}, {}",
                        world.base,
                        world.effect.name(),
                        world.weather.name()
                    ));
                    let measured = measure(*world, options);
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
    let cells: Vec<Cell> = cells.into_iter().flat_map(|(_, cells)| cells).collect();
    if options.json {
        let runs: Vec<Value> = cells.iter().map(Cell::json).collect();
        let through: Vec<Value> = through.iter().map(gateway::Through::json).collect();
        let all = json!({ "seed": options.seed, "runs": runs, "gateway": through });
        say(&all.to_string());
    } else {
        print(&cells);
        for one in &through {
            one.print();
        }
    }
    Ok(())
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
            Effect::Worse(MARGIN),
            Effect::Times(1.5),
            Effect::Times(2.0),
            Effect::Times(3.0),
        ] {
            worlds.push(steady(base, effect));
        }
    }
    worlds.push(steady(0.05, Effect::Better(0.5)));
    worlds.push(steady(0.05, Effect::Delayed(400, 2.0)));
    worlds.push(steady(0.05, Effect::Cohort(0.2, 6.0)));
    for weather in [Weather::Drift, Weather::Bursts, Weather::Episodes] {
        for effect in [Effect::None, Effect::Worse(MARGIN), Effect::Times(2.0)] {
            worlds.push(in_weather(effect, weather));
        }
    }
    for weather in [Weather::Delay, Weather::Feedback] {
        for effect in [Effect::None, Effect::Times(2.0)] {
            worlds.push(in_weather(effect, weather));
        }
    }
    for part in [0.25, 0.5, 1.0] {
        worlds.push(in_weather(Effect::Times(3.0), Weather::Leak(part)));
    }
    worlds
}

fn measure(world: World, options: &Options) -> Vec<Cell> {
    let is_null = matches!(
        world.effect,
        Effect::None | Effect::Worse(_) | Effect::Better(_)
    );
    let runs = if is_null {
        options.runs
    } else {
        (options.runs / 10).max(1)
    };
    let methods = SPLIT.iter().chain([&PAIRED]);
    let mut cells: Vec<Cell> = methods
        .map(|method| Cell {
            world,
            method,
            runs,
            rollbacks: 0,
            promotions: 0,
            after: Vec::new(),
        })
        .collect();
    // Where turns of an episode hang together, or one arm reaches the other, a pair means something else.
    if !matches!(
        world.weather,
        Weather::Steady | Weather::Drift | Weather::Bursts
    ) {
        cells.retain(|cell| cell.method != PAIRED);
    }
    for run in 0..runs {
        let split = split(&world, &mut Dice::new(options.seed, run));
        let paired = paired(&world, &mut Dice::new(options.seed ^ 0xa5a5, run));
        for (cell, ended) in cells.iter_mut().zip(split.into_iter().chain([paired])) {
            cell.rollbacks += u64::from(ended.rolled_back.is_some());
            cell.promotions += u64::from(ended.promoted);
            cell.after.extend(ended.rolled_back);
        }
    }
    for cell in &mut cells {
        cell.after.sort_unstable();
    }
    cells
}

/// The plan of every run: one step, so that a run is one process.
fn plan() -> Plan {
    let metric = Metric {
        weight: 1.0,
        margin: MARGIN,
        required: true,
    };
    Plan {
        steps: vec![Step {
            share: SHARE,
            units_min: 0,
        }],
        metrics: BTreeMap::from([(METRIC.to_owned(), metric)]),
        level: LEVEL,
        horizon: u64::from(UNITS),
        shadow: None,
        episode: EpisodeRules::default(),
        caps: Caps::default(),
        is_ab: false,
        may: instar_release::gate::Step::Stable,
        watch: None,
        objective: None,
        fast: None,
    }
}

fn split(world: &World, dice: &mut Dice) -> [Ended; SPLIT.len()] {
    let mut ended = [Ended::default(); SPLIT.len()];
    let Ok(mut rollout) = Rollout::begin(plan()) else {
        return ended;
    };
    let (mut sums, mut of_candidate) = (Sums::default(), 0);
    let mut heard: BTreeMap<u32, Vec<Unit>> = BTreeMap::new();
    for at in 0..UNITS {
        let unit = world.unit(at, UNITS, SHARE, dice);
        of_candidate += u32::from(unit.arm == instar_release::evidence::Arm::New);
        // Ours judges each unit at a fixed age, by whether something bad was seen of it; the others take
        // what they hear when they hear it.
        match rollout.settle(&settled(at, &unit)) {
            Some(Stage::RolledBack { .. }) => ended[0].rolled_back = Some(of_candidate),
            Some(Stage::Promoted) => ended[0].promoted = true,
            _ => {}
        }
        if let Some(when) = world.heard_at(at, &unit, dice) {
            heard.entry(when).or_default().push(unit);
        }
        for unit in heard.remove(&at).unwrap_or_default() {
            sums.settle(&unit);
        }
        let said = [
            sums.z_test(),
            sums.threshold(),
            sums.mann_whitney(),
            sums.msprt(),
        ];
        for (ended, worse) in ended[1..].iter_mut().zip(said) {
            if worse && ended.rolled_back.is_none() {
                ended.rolled_back = Some(of_candidate);
            }
        }
    }
    ended
}

fn settled(at: u32, unit: &Unit) -> Settled {
    Settled {
        unit: at.to_string(),
        arm: unit.arm,
        share: unit.share,
        bad: BTreeMap::from([(METRIC.to_owned(), Some(unit.bad))]),
    }
}

fn paired(world: &World, dice: &mut Dice) -> Ended {
    let mut ended = Ended::default();
    let (mut worse, mut within) = (Paired::worse(), Paired::within(MARGIN));
    for at in 0..PAIRS {
        let (new, old) = world.pair(at, PAIRS, SHARED, dice);
        let pair = Pair {
            turns: 1,
            new_failed: u32::from(new && !old),
            old_failed: u32::from(old && !new),
        };
        worse.settle(pair);
        within.settle(pair);
        if worse.evidence() >= 1.0 / LEVEL {
            ended.rolled_back = Some(at + 1);
            return ended;
        }
        if within.evidence() >= 1.0 / LEVEL {
            ended.promoted = true;
            return ended;
        }
    }
    ended
}

impl Cell {
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

    /// Taken back although it is no worse.
    fn false_rollback(&self) -> Option<f64> {
        matches!(self.world.effect, Effect::None | Effect::Better(_))
            .then(|| Self::rate(self.rollbacks, self.runs))
    }

    /// Promoted although it is worse by the margin. Who promotes nothing has no such rate.
    fn false_promotion(&self) -> Option<f64> {
        let promotes = self.method.starts_with("instar");
        (promotes && matches!(self.world.effect, Effect::Worse(_)))
            .then(|| Self::rate(self.promotions, self.runs))
    }

    fn caught(&self) -> Option<f64> {
        (!matches!(self.world.effect, Effect::None | Effect::Better(_)))
            .then(|| Self::rate(self.rollbacks, self.runs))
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
            "method": self.method,
            "runs": self.runs,
            "false_rollback": self.false_rollback(),
            "false_promotion": self.false_promotion(),
            "caught": self.caught(),
            "promoted": Self::rate(self.promotions, self.runs),
            "median_events": self.after(0.5),
            "p90_events": self.after(0.9),
        })
    }

    /// The bar of this row, and whether it is met.
    fn bar(&self) -> (String, Option<bool>) {
        if !self.method.starts_with("instar") {
            return (String::new(), None);
        }
        if self.false_rollback().is_some() {
            let met = Self::lower(self.rollbacks, self.runs) <= LEVEL;
            return ("false rollback <= 0.05".to_owned(), Some(met));
        }
        if matches!(self.world.effect, Effect::Worse(_)) {
            let met = Self::lower(self.promotions, self.runs) <= LEVEL;
            return ("false promotion <= 0.05".to_owned(), Some(met));
        }
        let steady = self.world.weather == Weather::Steady;
        let (caught, median) = match (self.world.base, self.world.effect, self.method) {
            (base, Effect::Times(times), method) if steady && (base - 0.05).abs() < 1e-9 => {
                match (method, times) {
                    (PAIRED, 2.0) => (0.99, 150),
                    (PAIRED, 3.0) => (0.99, 70),
                    (_, 2.0) if method != PAIRED => (0.80, 320),
                    _ => return (String::new(), None),
                }
            }
            _ => return (String::new(), None),
        };
        let is_caught = self.caught().is_some_and(|rate| rate >= caught);
        let is_quick = self.after(0.5).is_some_and(|units| units <= median);
        (
            format!("caught >= {caught}, median <= {median}"),
            Some(is_caught && is_quick),
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of runs")]
fn to_f64(count: u64) -> f64 {
    count as f64
}

fn print(cells: &[Cell]) {
    let mut world = String::new();
    for cell in cells {
        let here = format!(
            "base {}, effect {}, {}, {} runs",
            cell.world.base,
            cell.world.effect.name(),
            cell.world.weather.name(),
            cell.runs
        );
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
        let (bar, met) = cell.bar();
        row(&format!("  {}", cell.method), &figure, &bar, met);
    }
}
