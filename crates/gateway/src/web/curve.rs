//! Evidence over units as curves on a scale of powers, with the bounds that decide. Drawn here; the table
//! beside it says where they stand.

use maud::{Markup, html};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 610.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 214.0;
/// What is less than a thousandth says nothing more.
const LEAST: f64 = 0.001;
const MOST: f64 = 1e9;

/// One process.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Curve {
    pub(super) name: String,
    /// How it is drawn: `proven`, `failed`, `harmful`.
    pub(super) class: &'static str,
    pub(super) points: Vec<(u64, f64)>,
}

/// A value at which something is decided.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Bound {
    pub(super) value: f64,
    pub(super) told: String,
}

/// Curves that begin at one, where nothing is known.
pub(super) fn curves(title: &str, curves: &[Curve], bounds: &[Bound]) -> Markup {
    let scale = Scale::of(curves, bounds);
    let ends = ends(curves, &scale);
    html! {
        figure class="chart curves" {
            figcaption { (title) }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(title) {
                line class="axis" x1=(LEFT) x2=(RIGHT) y1=(BOTTOM) y2=(BOTTOM) {}
                line class="axis" x1=(LEFT) x2=(LEFT) y1=(TOP) y2=(BOTTOM) {}
                @for power in scale.powers() {
                    @let y = scale.y(10_f64.powi(power));
                    line class="axis faint" x1=(LEFT) x2=(RIGHT) y1=(tenths(y)) y2=(tenths(y)) {}
                    text class="right" x=(LEFT - 6.0) y=(tenths(y + 4.0)) { (named(power)) }
                }
                @for bound in bounds {
                    @let y = scale.y(bound.value);
                    line class="limit" x1=(LEFT) x2=(RIGHT) y1=(tenths(y)) y2=(tenths(y)) {}
                    text class="limit" x=(RIGHT - 4.0) y=(tenths(y - 4.0)) { (bound.told) }
                }
                @for (curve, end) in curves.iter().zip(&ends) {
                    polyline class={ "curve " (curve.class) } points=(scale.line(&curve.points)) {}
                    text class={ "left name-of " (curve.class) } x=(RIGHT + 6.0) y=(tenths(*end)) { (curve.name) }
                }
                text class="left" x=(LEFT) y=(HEIGHT - 8.0) { "0" }
                text class="right" x=(RIGHT) y=(HEIGHT - 8.0) { (scale.units) }
            }
        }
    }
}

struct Scale {
    units: u64,
    low: f64,
    high: f64,
}

impl Scale {
    fn of(curves: &[Curve], bounds: &[Bound]) -> Self {
        let points = curves.iter().flat_map(|curve| &curve.points);
        let units = points.clone().map(|(units, _)| *units).max().unwrap_or(1);
        let values = points.map(|(_, value)| clamped(*value));
        let all = values.chain(bounds.iter().map(|bound| clamped(bound.value)));
        let (low, high) = all.fold((1.0_f64, 1.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        Self {
            units: units.max(1),
            low: low.log10().floor(),
            high: (high.log10() + 0.2).max(low.log10() + 1.0),
        }
    }

    fn y(&self, value: f64) -> f64 {
        let part = (clamped(value).log10() - self.low) / (self.high - self.low);
        BOTTOM - part.clamp(0.0, 1.0) * (BOTTOM - TOP)
    }

    fn x(&self, units: u64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
        let part = units as f64 / self.units as f64;
        LEFT + part * (RIGHT - LEFT)
    }

    fn line(&self, points: &[(u64, f64)]) -> String {
        let begun = [(0, 1.0)];
        let all = begun.iter().chain(points);
        let places =
            all.map(|(units, value)| format!("{:.1},{:.1}", self.x(*units), self.y(*value)));
        places.collect::<Vec<_>>().join(" ")
    }

    fn powers(&self) -> Vec<i32> {
        (-3..=9)
            .filter(|power| {
                let power = f64::from(*power);
                power >= self.low && power <= self.high
            })
            .collect()
    }
}

/// Where the names stand: beside the end of each curve, and not upon each other.
fn ends(curves: &[Curve], scale: &Scale) -> Vec<f64> {
    let last = |curve: &Curve| curve.points.last().map_or(1.0, |(_, value)| *value);
    let mut order: Vec<usize> = (0..curves.len()).collect();
    order.sort_by(|a, b| last(&curves[*b]).total_cmp(&last(&curves[*a])));
    let mut ends = vec![0.0; curves.len()];
    let mut above = TOP - 14.0;
    for at in order {
        let wanted = scale.y(last(&curves[at])) + 4.0;
        above = wanted.max(above + 14.0);
        ends[at] = above;
    }
    ends
}

fn clamped(value: f64) -> f64 {
    if value.is_finite() {
        value.clamp(LEAST, MOST)
    } else {
        MOST
    }
}

fn named(power: i32) -> String {
    match power {
        -3..=0 => format!("{}", 10_f64.powi(power)),
        1..=3 => format!("{:.0}", 10_f64.powi(power)),
        _ => format!("1e{power}"),
    }
}

fn tenths(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(class: &'static str, points: &[(u64, f64)]) -> Curve {
        Curve {
            name: format!("<{class}>"),
            class,
            points: points.to_vec(),
        }
    }

    #[test]
    fn more_evidence_stands_higher_and_nothing_leaves_the_picture() {
        let all = [
            curve("proven", &[(10, 3.0), (20, f64::INFINITY)]),
            curve("harmful", &[(10, 0.0), (20, f64::NAN)]),
        ];
        let bounds = [Bound {
            value: 20.0,
            told: "20".to_owned(),
        }];
        let scale = Scale::of(&all, &bounds);
        assert!(scale.y(3.0) > scale.y(20.0) && scale.y(20.0) > scale.y(1e8));
        for (_, value) in all.iter().flat_map(|one| &one.points) {
            let y = scale.y(*value);
            assert!((TOP..=BOTTOM).contains(&y), "{y}");
        }
        let ends = ends(&all, &scale);
        assert!((ends[0] - ends[1]).abs() >= 14.0);
        let drawn = curves("t", &all, &bounds).into_string();
        assert_eq!(drawn.matches("<polyline").count(), 2);
        assert!(drawn.contains("&lt;proven&gt;"));
        assert!(curves("empty", &[], &[]).into_string().contains("<svg"));
    }
}
