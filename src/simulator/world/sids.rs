//! SIDs: two letters and 32 lower-case hex digits, from a seed.
//!
//! Always: the same seed and the same order of requests give the same SIDs. The generator is implemented here, and
//! not taken from a crate, so that no upgrade changes the SIDs of a seed.

/// `SplitMix64` (Steele, Lea and Flood, 2014).
#[derive(Debug)]
pub(in crate::simulator) struct Sids {
    state: u64,
}

impl Sids {
    pub(in crate::simulator) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A new SID that begins with `prefix`, such as `CH`.
    pub(in crate::simulator) fn sid(&mut self, prefix: &str) -> String {
        format!("{prefix}{:016x}{:016x}", self.next(), self.next())
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Whether `text` has the form of a SID with this prefix.
pub(in crate::simulator) fn is_sid(text: &str, prefix: &str) -> bool {
    text.strip_prefix(prefix)
        .is_some_and(|hex| hex.len() == 32 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_sids_and_another_seed_others() {
        let first: Vec<_> = (0..3).map(|_| Sids::new(7).sid("CH")).collect();
        assert_eq!(first[0], first[1]);
        assert!(is_sid(&first[0], "CH") && !is_sid(&first[0], "KC"));
        assert_ne!(first[0], Sids::new(8).sid("CH"));
        let mut one = Sids::new(7);
        assert_ne!(one.sid("CH"), one.sid("CH"));
    }
}
