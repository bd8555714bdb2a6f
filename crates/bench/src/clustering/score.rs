//! The figures: grouping accuracy (lines whose group is exactly right), F1 over groups, parsing accuracy
//! (lines whose template has the very text of the label).

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;

#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Score {
    pub(super) ga: f64,
    pub(super) fga: f64,
    pub(super) pa: f64,
    pub(super) lines_per_s: f64,
}

impl Score {
    pub(super) fn of<G: Ord + Hash + Copy>(
        groups: &[G],
        templates: &[&str],
        truth: &[String],
    ) -> Self {
        let mine = members(groups.iter().copied());
        let theirs = members(truth.iter().map(String::as_str));
        let right = mine.values().filter(|lines| {
            lines
                .first()
                .is_some_and(|line| theirs[truth[*line].as_str()] == **lines)
        });
        let (groups_right, lines_right) = right.fold((0, 0), |(groups, lines), group| {
            (groups + 1, lines + group.len())
        });
        let same = templates
            .iter()
            .zip(truth)
            .filter(|(mine, label)| **mine == label.as_str());
        let lines = truth.len();
        Self {
            ga: share(lines_right, lines),
            // 2PR/(P+R) over exactly right groups.
            fga: share(2 * groups_right, mine.len() + theirs.len()),
            pa: share(same.count(), lines),
            lines_per_s: 0.0,
        }
    }

    pub(super) fn timed(self, lines: usize, seconds: f64) -> Self {
        let lines = f64::from(u32::try_from(lines).unwrap_or(u32::MAX));
        Self {
            lines_per_s: lines / seconds,
            ..self
        }
    }

    pub(super) fn mean(scores: impl Iterator<Item = Self>) -> Self {
        let (mut sum, mut count) = (Self::default(), 0.0);
        for score in scores {
            sum.ga += score.ga;
            sum.fga += score.fga;
            sum.pa += score.pa;
            sum.lines_per_s += score.lines_per_s;
            count += 1.0;
        }
        Self {
            ga: sum.ga / count,
            fga: sum.fga / count,
            pa: sum.pa / count,
            lines_per_s: sum.lines_per_s / count,
        }
    }

    pub(super) fn json(self) -> Value {
        json!({ "ga": self.ga, "fga": self.fga, "pa": self.pa, "lines_per_s": self.lines_per_s })
    }

    pub(super) fn columns(self) -> String {
        let Self {
            ga,
            fga,
            pa,
            lines_per_s,
        } = self;
        format!("{ga:>7.3} {fga:>7.3} {pa:>7.3} {lines_per_s:>12.0}")
    }
}

/// Each group that is not exactly right, in words.
pub(super) fn wrong<G: Ord + Hash + Copy>(
    groups: &[G],
    templates: &[&str],
    truth: &[String],
) -> Vec<String> {
    let mine = members(groups.iter().copied());
    let theirs = members(truth.iter().map(String::as_str));
    let wrong = mine.into_values().filter(|lines| {
        lines
            .first()
            .is_some_and(|line| theirs[truth[*line].as_str()] != *lines)
    });
    wrong
        .map(|lines| {
            let labels: BTreeSet<&str> = lines.iter().map(|line| truth[*line].as_str()).collect();
            let mine = lines.first().map_or("", |line| templates[*line]);
            format!("{} lines as {mine:?}, labelled {labels:?}", lines.len())
        })
        .collect()
}

fn members<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, Vec<usize>> {
    let mut members: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for (line, key) in keys.enumerate() {
        members.entry(key).or_default().push(line);
    }
    members
}

fn share(part: usize, whole: usize) -> f64 {
    let number = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    if whole == 0 {
        0.0
    } else {
        number(part) / number(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_counts_when_it_is_exactly_right() {
        let truth: Vec<String> = ["a", "a", "b", "c"].map(String::from).to_vec();
        let all = Score::of(&[1, 1, 2, 3], &["a", "a", "b", "x"], &truth);
        assert_eq!((all.ga, all.fga, all.pa), (1.0, 1.0, 0.75));
        // `b` and `c` in one group: `a` alone is right, one of two groups and one of three labels.
        let joined = Score::of(&[1, 1, 2, 2], &["a", "a", "b", "b"], &truth);
        assert_eq!((joined.ga, joined.fga, joined.pa), (0.5, 0.4, 0.75));
    }
}
