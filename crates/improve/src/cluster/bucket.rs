//! Messages of one skeleton, and which of their words vary.
//!
//! Rows are compared by the places where they differ. Where enough rows differ in the same few places
//! and there alone, what stands there is a value. How many are enough depends on what the words look
//! like: names and constants are believed sooner than words of a sentence, the first word of a message
//! latest of all.

/// Rows of one skeleton that are kept apart; after that, new ones join the nearest.
const ROWS_MAX: usize = 256;
/// Places that are compared; rows that differ further right are never joined.
const PLACES_MAX: usize = 64;
/// Places that may vary together.
const TOGETHER_MAX: u32 = 4;

/// How many different words at a place there have to be before they count as values. One setting is for
/// all systems; others exist so that it can be shown on systems that it was not chosen on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setting {
    /// Words of a sentence.
    pub plain: usize,
    /// Names and constants.
    pub odd: usize,
    /// The first word of a message.
    pub first: usize,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            plain: 5,
            odd: 4,
            first: 12,
        }
    }
}

#[derive(Debug)]
pub(super) struct Row {
    /// `None` is a word that varies.
    pub(super) words: Box<[Option<Box<[u8]>>]>,
    pub(super) group: u32,
}

#[derive(Default, Debug)]
pub(super) struct Bucket {
    pub(super) rows: Vec<Row>,
    pub(super) setting: Setting,
}

/// Rows that became one, and which of its words vary now.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) kept: u32,
    pub(super) gone: Vec<u32>,
}

impl Bucket {
    /// The row that these words fit, words that vary aside.
    pub(super) fn find(&self, words: &[&[u8]]) -> Option<&Row> {
        self.rows.iter().find(|row| row.fits(words))
    }

    pub(super) fn row(&self, group: u32) -> Option<&Row> {
        self.rows.iter().find(|row| row.group == group)
    }

    /// A row of its own for these words, and what that shows of the others. `known` says which words
    /// were seen as values elsewhere.
    pub(super) fn add(
        &mut self,
        words: &[&[u8]],
        group: u32,
        known: &dyn Fn(&[u8]) -> bool,
    ) -> Vec<Joined> {
        let words = words.iter().map(|word| Some(Box::from(*word))).collect();
        self.put(Row { words, group }, known)
    }

    pub(super) fn put(&mut self, row: Row, known: &dyn Fn(&[u8]) -> bool) -> Vec<Joined> {
        self.rows.push(row);
        let mut joined = Vec::new();
        while let Some((mask, rows)) = self.varying(known) {
            joined.push(self.join(mask, &rows));
        }
        if self.rows.len() > ROWS_MAX
            && let Some((mask, row)) = self.nearest()
        {
            let last = self.rows.len() - 1;
            joined.push(self.join(mask, &[row, last]));
        }
        joined
    }

    /// From now on this word of the group varies.
    pub(super) fn vary(&mut self, group: u32, place: usize) {
        let row = self.rows.iter_mut().find(|row| row.group == group);
        if let Some(word) = row.and_then(|row| row.words.get_mut(place)) {
            *word = None;
        }
    }

    pub(super) fn remove(&mut self, group: u32) {
        self.rows.retain(|row| row.group != group);
    }

    /// Places of the last row that hold values, and the rows that show it.
    fn varying(&self, known: &dyn Fn(&[u8]) -> bool) -> Option<(u64, Vec<usize>)> {
        let (last, others) = self.rows.split_last()?;
        let width = u32::try_from(last.words.len()).unwrap_or(u32::MAX);
        let most = (width / 3).clamp(1, TOGETHER_MAX);
        let mut masks: Vec<(u64, Vec<usize>)> = Vec::new();
        for (index, row) in others.iter().enumerate() {
            let Some(mask) = last.differs(row) else {
                continue;
            };
            let places = mask.count_ones();
            if places == 0 || places > most || (places == width && width > 1) {
                continue;
            }
            match masks.iter_mut().find(|(other, _)| *other == mask) {
                Some((_, rows)) => rows.push(index),
                None => masks.push((mask, vec![index])),
            }
        }
        masks.sort_by_key(|(mask, rows)| (mask.count_ones(), usize::MAX - rows.len()));
        masks.into_iter().find_map(|(mask, mut rows)| {
            rows.push(others.len());
            self.are_values(mask, &rows, known).then_some((mask, rows))
        })
    }

    /// Whether the words at all these places, over these rows, are values.
    fn are_values(&self, mask: u64, rows: &[usize], known: &dyn Fn(&[u8]) -> bool) -> bool {
        let together = mask.count_ones() as usize;
        places(mask).all(|place| {
            let mut seen: Vec<&[u8]> = Vec::new();
            for row in rows {
                match self.rows[*row].words[place].as_deref() {
                    None => return true,
                    Some(word) if seen.contains(&word) => {}
                    Some(word) => seen.push(word),
                }
            }
            if numbered(&seen) {
                return true;
            }
            let values = seen.iter().filter(|word| known(word)).count();
            if values > 0 && values + 1 >= seen.len() {
                return true;
            }
            let odd = seen.iter().filter(|word| is_odd(word)).count();
            let enough = match place {
                0 => self.setting.first,
                _ if odd * 2 > seen.len() => self.setting.odd,
                _ => self.setting.plain,
            };
            seen.len() + 1 >= enough + together
        })
    }

    /// The row that differs least from the last.
    fn nearest(&self) -> Option<(u64, usize)> {
        let (last, others) = self.rows.split_last()?;
        others
            .iter()
            .enumerate()
            .filter_map(|(index, row)| Some((last.differs(row)?, index)))
            .min_by_key(|(mask, _)| mask.count_ones())
    }

    fn join(&mut self, mask: u64, rows: &[usize]) -> Joined {
        let (first, rest) = rows
            .split_first()
            .map_or((0, rows), |(first, rest)| (*first, rest));
        let mut gone = Vec::new();
        for &row in rest.iter().rev() {
            gone.push(self.rows.remove(row).group);
        }
        let mut kept = self.rows.remove(first);
        for place in places(mask) {
            kept.words[place] = None;
        }
        let joined = Joined {
            kept: kept.group,
            gone,
        };
        // The next look is at what was joined.
        self.rows.push(kept);
        joined
    }
}

impl Row {
    fn fits(&self, words: &[&[u8]]) -> bool {
        self.words.len() == words.len()
            && self
                .words
                .iter()
                .zip(words)
                .all(|(mine, other)| mine.as_deref().is_none_or(|mine| mine == *other))
    }

    /// The places where two rows differ; nothing where there are too many to tell.
    fn differs(&self, other: &Self) -> Option<u64> {
        let mut mask = 0;
        for (place, (one, two)) in self.words.iter().zip(&other.words).enumerate() {
            if one != two {
                if place >= PLACES_MAX {
                    return None;
                }
                mask |= 1 << place;
            }
        }
        Some(mask)
    }
}

fn places(mask: u64) -> impl Iterator<Item = usize> {
    (0..PLACES_MAX).filter(move |place| mask >> place & 1 == 1)
}

/// Whether words differ in their digits alone.
fn numbered(words: &[&[u8]]) -> bool {
    let letters = |word: &[u8]| -> Vec<u8> {
        word.iter()
            .filter(|byte| !byte.is_ascii_digit())
            .copied()
            .collect()
    };
    words.len() > 1
        && words
            .windows(2)
            .all(|pair| letters(pair[0]) == letters(pair[1]))
}

/// A word that is none of a sentence: marks inside, capitals inside or throughout.
fn is_odd(word: &[u8]) -> bool {
    let marked = |byte: &u8| matches!(byte, b'_' | b'.' | b'-' | b'@' | b'/' | b'\\' | b'$');
    let upper = word.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let inside = word.iter().skip(1).any(u8::is_ascii_uppercase);
    word.iter().any(marked) || (inside && upper < word.len()) || (upper > 1 && upper == word.len())
}
