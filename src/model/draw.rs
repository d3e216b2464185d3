//! Luck that can be repeated: a random number is a hash of who draws, what for, and which draw.
//!
//! Nobody holds a generator, so adding a node to a scenario does not shift the others' luck.

use super::time::Span;

/// The seed of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// Draws 64 bits for `entity` (`agent/orders`), `purpose` (`backoff`) and the `n`-th time.
    pub fn draw(self, entity: &str, purpose: &str, n: u64) -> u64 {
        let mut state = mix(self.0 ^ 0x9e37_79b9_7f4a_7c15);
        for part in [entity, purpose] {
            for byte in part.bytes() {
                state = mix(state ^ u64::from(byte));
            }
            // The length keeps ("ab", "c") apart from ("a", "bc").
            state = mix(state ^ (part.len() as u64) << 32);
        }
        mix(state ^ n)
    }

    /// Draws a span from `[low, high)`, uniformly; `low` when the range is empty.
    pub fn span(self, entity: &str, purpose: &str, n: u64, low: Span, high: Span) -> Span {
        let width = (high - low).as_us();
        // Multiply-shift: the bias is below 2^-40 for spans of less than twelve days.
        let scaled = (u128::from(self.draw(entity, purpose, n)) * u128::from(width)) >> 64;
        low + Span::from_us(u64::try_from(scaled).unwrap_or(0))
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) const fn mix(z: u64) -> u64 {
    let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
