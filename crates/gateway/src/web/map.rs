//! The map of faults: where they show, how often, whom they reach. Drawn here; the list beside it says
//! the same.

use maud::{Markup, html};

const WIDTH: u64 = 720;
const LANE: u64 = 44;
const LEFT: u64 = 150;
const LANES_MAX: usize = 12;

/// One fault on the map.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Spot {
    pub(super) link: String,
    pub(super) place: String,
    pub(super) told: String,
    /// The share of occasions that failed, 0 to 1.
    pub(super) rate: f64,
    /// Conversations that it reached.
    pub(super) reach: usize,
    /// It comes more often than it did.
    pub(super) is_rising: bool,
}

/// A lane for each place, the rarest faults at the left; one in ten thousand is the edge.
pub(super) fn map(title: &str, spots: &[Spot]) -> Markup {
    let mut lanes: Vec<&str> = Vec::new();
    for spot in spots {
        if !lanes.contains(&spot.place.as_str()) && lanes.len() < LANES_MAX {
            lanes.push(&spot.place);
        }
    }
    let height = LANE * lanes.len().max(1) as u64 + 20;
    html! {
        figure class="chart faults" {
            figcaption { (title) }
            svg viewBox={ "0 0 " (WIDTH) " " (height) } role="group" aria-label=(title) {
                @for (lane, place) in (0_u64..).zip(&lanes) {
                    @let y = LANE * lane + LANE / 2;
                    line class="axis" x1=(LEFT) x2=(WIDTH) y1=(y) y2=(y) {}
                    text class="lane" x="0" y=(y + 4) { (place.chars().take(24).collect::<String>()) }
                    @for spot in spots.iter().filter(|spot| spot.place == **place) {
                        a href=(spot.link) {
                            circle class=(if spot.is_rising { "spot rising" } else { "spot" })
                                cx=(across(spot.rate)) cy=(y) r=(radius(spot.reach)) {
                                title { (spot.told) }
                            }
                        }
                    }
                }
                @for (share, name) in [(0.0001, "0.01 %"), (0.001, "0.1 %"), (0.01, "1 %"), (0.1, "10 %"), (1.0, "100 %")] {
                    text class="name" x=(across(share)) y=(height - 4) { (name) }
                }
            }
        }
    }
}

/// The place of a share between one in ten thousand and one, by its logarithm.
fn across(rate: f64) -> String {
    let part = (rate.clamp(0.0001, 1.0).log10() + 4.0) / 4.0;
    format!("{:.1}", 190.0 + part * 490.0)
}

fn radius(reach: usize) -> u32 {
    5 + 2 * reach.min(64).checked_ilog2().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spots_stand_in_the_lane_of_their_place_and_rarer_ones_further_left() {
        let spot = |place: &str, rate| Spot {
            link: "/faults/flt_1".to_owned(),
            place: place.to_owned(),
            told: "<b>".to_owned(),
            rate,
            reach: 3,
            is_rising: rate > 0.5,
        };
        let drawn = map(
            "t",
            &[
                spot("tool:a", 0.01),
                spot("tool:b", 0.9),
                spot("tool:a", 0.0),
            ],
        )
        .into_string();
        assert_eq!(drawn.matches("<circle").count(), 3);
        assert_eq!(drawn.matches("spot rising").count(), 1);
        assert_eq!(drawn.matches("class=\"axis\"").count(), 2);
        assert!(drawn.contains("&lt;b&gt;"));
        assert!(across(0.01).parse::<f64>().unwrap() < across(0.9).parse::<f64>().unwrap());
        assert!(map("empty", &[]).into_string().contains("<svg"));
    }
}
