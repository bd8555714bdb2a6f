//! The evidence over the units, thinned as it grows, for whoever draws it.

use serde::{Deserialize, Serialize};

const POINTS_MAX: usize = 96;

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Point {
    pub units: u64,
    pub proven: f64,
    pub failed: f64,
    pub harmful: f64,
}

/// At most a hundred points, however long the trial.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Curve {
    points: Vec<Point>,
    /// A point is kept every so many units; zero stands for each.
    stride: u64,
}

impl Curve {
    pub(super) fn note(&mut self, units: u64, evidence: impl FnOnce() -> (f64, f64, f64)) {
        let stride = self.stride.max(1);
        if !units.is_multiple_of(stride) {
            return;
        }
        let (proven, failed, harmful) = evidence();
        self.points.push(Point {
            units,
            proven,
            failed,
            harmful,
        });
        if self.points.len() > POINTS_MAX {
            self.stride = stride * 2;
            let stride = self.stride;
            self.points
                .retain(|point| point.units.is_multiple_of(stride));
        }
    }

    #[must_use]
    pub fn points(&self) -> &[Point] {
        &self.points
    }
}
