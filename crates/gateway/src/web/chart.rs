//! Charts as SVG, drawn here: they need no script, and a table beside each says the same.

use maud::{Markup, html};

const WIDTH: usize = 720;
const HEIGHT: usize = 180;
const BOTTOM: usize = 22;
const TOP: usize = 18;
/// As many bars as have room for their values.
const TOLD_MAX: usize = 10;

/// One bar: what it is called, how high it is, and the words of its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: u64,
    pub(super) told: String,
}

/// A line across the bars.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Line {
    pub(super) value: u64,
    pub(super) told: String,
}

/// Bars side by side, with a line for a limit.
pub(super) fn bars(title: &str, bars: &[Bar], line: Option<&Line>) -> Markup {
    let highest = bars.iter().map(|bar| bar.value).max().unwrap_or(0);
    let highest = highest.max(line.map_or(0, |line| line.value)).max(1);
    let height = |value: u64| scaled(value, highest);
    let step = (WIDTH * 100).checked_div(bars.len()).unwrap_or(0);
    let width = (step * 7 / 10).clamp(100, 6_000);
    // As many names as have room.
    let every = (bars.len() * 56).div_ceil(WIDTH).max(1);
    html! {
        figure class="chart" {
            figcaption { (title) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(title) {
                line class="axis" x1="0" x2=(WIDTH) y1=(HEIGHT - BOTTOM) y2=(HEIGHT - BOTTOM) {}
                @for (at, bar) in bars.iter().enumerate() {
                    @let x = at * step + (step - width.min(step)) / 2;
                    rect class="value" x=(hundredths(x)) width=(hundredths(width.min(step)))
                        y=(HEIGHT - BOTTOM - height(bar.value)) height=(height(bar.value)) {
                        title { (bar.name) ": " (bar.told) }
                    }
                    @let middle = hundredths(at * step + step / 2);
                    @if at % every == 0 {
                        text class="name" x=(middle) y=(HEIGHT - 6) { (bar.name) }
                    }
                    @if bars.len() <= TOLD_MAX {
                        text class="name" x=(middle) y=(HEIGHT - BOTTOM - height(bar.value) - 5) { (bar.told) }
                    }
                }
                @if let Some(line) = line {
                    @let y = HEIGHT - BOTTOM - height(line.value);
                    line class="limit" x1="0" x2=(WIDTH) y1=(y) y2=(y) {}
                    text class="limit" x=(WIDTH - 4) y=(y.max(TOP + 4) - 4) { (line.told) }
                }
            }
        }
    }
}

/// One arm: its rate, and where it may lie.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Arm {
    pub(super) name: String,
    pub(super) rate: Option<f64>,
    pub(super) interval: Option<(f64, f64)>,
    pub(super) told: String,
    pub(super) is_new: bool,
}

/// The height of one arm's row, and where its scale begins and ends.
const ROW: usize = 34;
const SCALE_FROM: f64 = 130.0;
const SCALE_TO: f64 = 640.0;

/// Rates side by side on one scale, each with its interval.
pub(super) fn arms(title: &str, arms: &[Arm]) -> Markup {
    let highest = arms
        .iter()
        .filter_map(|arm| arm.interval.map(|(_, high)| high))
        .fold(0.01, f64::max);
    let x = |rate: f64| SCALE_FROM + (SCALE_TO - SCALE_FROM) * (rate / highest).clamp(0.0, 1.0);
    let height = arms.len() * ROW + BOTTOM;
    html! {
        figure class="chart rows-chart" {
            figcaption { (title) }
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(title) {
                line class="axis" x1=(SCALE_FROM) x2=(SCALE_TO) y1=(height - BOTTOM) y2=(height - BOTTOM) {}
                text class="name" x=(SCALE_FROM) y=(height - 6) { "0" }
                text class="name" x=(SCALE_TO) y=(height - 6) { (format!("{:.1} %", 100.0 * highest)) }
                @for (at, arm) in arms.iter().enumerate() {
                    @let y = at * ROW + ROW / 2;
                    @let class = if arm.is_new { "arm new" } else { "arm" };
                    text class="left" x="0" y=(y + 4) { (arm.name) }
                    @if let (Some(rate), Some((low, high))) = (arm.rate, arm.interval) {
                        line class=(class) x1=(tenths(x(low))) x2=(tenths(x(high))) y1=(y) y2=(y) {}
                        circle class=(class) cx=(tenths(x(rate))) cy=(y) r="5" {
                            title { (arm.name) ": " (format!("{:.1} % ({:.1} – {:.1} %)", 100.0 * rate, 100.0 * low, 100.0 * high)) }
                        }
                    }
                    text class="right" x=(WIDTH) y=(y + 4) { (arm.told) }
                }
            }
        }
    }
}

/// Evidence on its way to a bound.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Meter {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) bound: f64,
    pub(super) is_bad: bool,
}

/// Evidence on a scale of powers, from a hundredth to its bound.
pub(super) fn meters(title: &str, meters: &[Meter]) -> Markup {
    let place = |value: f64, bound: f64| {
        let (low, high) = (0.01_f64.ln(), bound.max(1.1).ln());
        let part = (value.max(0.01).ln() - low) / (high - low);
        SCALE_FROM + (SCALE_TO - SCALE_FROM) * part.clamp(0.0, 1.0)
    };
    let height = meters.len() * ROW + 4;
    html! {
        figure class="chart rows-chart" {
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(title) {
                @for (at, meter) in meters.iter().enumerate() {
                    @let y = at * ROW + ROW / 2;
                    @let end = place(meter.value, meter.bound);
                    @let class = if meter.is_bad { "arm new" } else { "arm" };
                    text class="left" x="0" y=(y + 4) { (meter.name) }
                    line class="axis" x1=(SCALE_FROM) x2=(SCALE_TO) y1=(y) y2=(y) {}
                    line class=(class) x1=(SCALE_FROM) x2=(tenths(end)) y1=(y) y2=(y) {}
                    line class="limit" x1=(SCALE_TO) x2=(SCALE_TO) y1=(y - 12) y2=(y + 12) {}
                    text class="right" x=(WIDTH) y=(y + 4) { (format!("{:.2} / {:.0}", meter.value, meter.bound)) }
                }
            }
        }
    }
}

/// Parts of a hundred, each with a mark where it should be.
pub(super) fn shares(title: &str, meters: &[Meter]) -> Markup {
    let most = SCALE_TO - 30.0;
    let place = |part: f64| SCALE_FROM + (most - SCALE_FROM) * (part / 100.0).clamp(0.0, 1.0);
    let height = meters.len() * ROW + 4;
    html! {
        figure class="chart rows-chart" {
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" aria-label=(title) {
                @for (at, meter) in meters.iter().enumerate() {
                    @let y = at * ROW + ROW / 2;
                    @let bound = tenths(place(meter.bound));
                    text class="left" x="0" y=(y + 4) { (meter.name) }
                    line class="axis" x1=(SCALE_FROM) x2=(most) y1=(y) y2=(y) {}
                    line class="arm" x1=(SCALE_FROM) x2=(tenths(place(meter.value))) y1=(y) y2=(y) {}
                    line class="limit" x1=(bound) x2=(bound) y1=(y - 12) y2=(y + 12) {}
                    text class="right" x=(WIDTH) y=(y + 4) { (format!("{:.0} / {:.0} %", meter.value, meter.bound)) }
                }
            }
        }
    }
}

fn tenths(value: f64) -> String {
    format!("{value:.1}")
}

/// The height of a value; one that is not nothing can be seen.
fn scaled(value: u64, highest: u64) -> usize {
    let room = (HEIGHT - BOTTOM - TOP) as u128;
    let height = u128::from(value) * room / u128::from(highest.max(1));
    let height = usize::try_from(height).unwrap_or(0);
    if value > 0 { height.max(2) } else { 0 }
}

fn hundredths(value: usize) -> String {
    format!("{}.{:02}", value / 100, value % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, value: u64) -> Bar {
        Bar {
            name: name.to_owned(),
            value,
            told: format!("{value} <b>"),
        }
    }

    #[test]
    fn bars_keep_their_order_of_height_and_stay_inside() {
        assert_eq!(scaled(0, 10), 0);
        assert_eq!(scaled(10, 10), HEIGHT - BOTTOM - TOP);
        assert!(scaled(1, u64::MAX) == 2 && scaled(u64::MAX, u64::MAX) <= HEIGHT);
        assert!(scaled(3, 10) < scaled(7, 10));
    }

    #[test]
    fn a_chart_of_nothing_and_a_chart_with_a_limit_are_drawn() {
        assert!(bars("empty", &[], None).into_string().contains("<svg"));
        let limit = Line {
            value: 20,
            told: "limit".to_owned(),
        };
        let drawn = bars("t", &[bar("a", 1), bar("b", 10)], Some(&limit)).into_string();
        assert_eq!(drawn.matches("<rect").count(), 2);
        assert!(drawn.contains("limit") && drawn.contains("10 &lt;b&gt;"));
        let told = |count: u64| {
            let many: Vec<Bar> = (0..count).map(|at| bar("a", at)).collect();
            bars("t", &many, None)
                .into_string()
                .matches("<text")
                .count()
        };
        assert_eq!(told(10), 20, "each has its name and its value");
        assert!(told(11) <= 11, "there is no room for values");
    }
}
