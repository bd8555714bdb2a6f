//! Randomness that can be had again.

/// A small generator (SplitMix64). If the test panics while it lives, its seed is printed; set
/// `INSTAR_TEST_SEED` to that number to run the same again.
#[derive(Debug)]
pub struct Seeded {
    seed: u64,
    state: u64,
}

impl Seeded {
    /// Uses `INSTAR_TEST_SEED` if it is set and a number, else `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let seed = std::env::var("INSTAR_TEST_SEED")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(seed);
        Self::exactly(seed)
    }

    /// Uses this seed whatever the environment says.
    #[must_use]
    pub fn exactly(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; zero if `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of the multiplication is below 2^-32 for every bound a test uses.
        u64::try_from((u128::from(self.next_u64()) * u128::from(bound)) >> 64).unwrap_or(0)
    }

    /// True with the chance `percent` in a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the items; `None` if there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(u64::try_from(items.len()).unwrap_or(0));
        items.get(usize::try_from(index).unwrap_or(0))
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(
                clippy::print_stderr,
                reason = "the seed of a failed test is for its reader"
            )]
            {
                eprintln!("seed of this run: INSTAR_TEST_SEED={}", self.seed);
            }
        }
    }
}
