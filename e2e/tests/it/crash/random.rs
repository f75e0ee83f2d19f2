//! Choices that look random and are the same for the same seed.

/// A generator by xorshift.
pub(crate) struct Random(u64);

impl Random {
    /// From `CRASH_SEED`, else from a seed of ours; says which.
    pub(crate) fn from_environment() -> Self {
        let given = std::env::var("CRASH_SEED").ok();
        let seed = given.map_or(0x6b69_6c6c_2d39, |seed| seed.parse().unwrap());
        println!("CRASH_SEED={seed}");
        Self(seed | 1)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}
