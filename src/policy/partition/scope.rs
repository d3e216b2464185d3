//! How far an answer is true: the scope of a client-subnet option (RFC 7871 section 7.2.1).
//!
//! The scope is the shortest prefix of the client's address such that every address within it gets
//! an answer that is the same for this question. It follows from the partition alone, so it is exact
//! for views within views and for default views.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Partition;
use super::space::{Space, Word};

/// How many intervals one scope looks at. Beyond that it is given as far as it is known to be true,
/// which is longer than need be, never wrong.
pub const SCOPE_STEPS_MAX: usize = 65_536;

/// How far an answer is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The length of the prefix, of the family of the address as it was sent; 0 when the answer is
    /// the same for everybody.
    pub length: u8,
    /// Whether the client's block gets different answers: the length is greater than the one that
    /// was sent, and the answer is that of the block's first address.
    pub mixed: bool,
    /// Whether it is the shortest; not when [`SCOPE_STEPS_MAX`] ended the search.
    pub exact: bool,
}

impl Partition {
    /// Gives the scope of the answer to the block that begins at `address` and is `source_length`
    /// bits long. `same` says whether two views answer this question alike; it is asked once for
    /// each other view that is met.
    pub fn scope(
        &self,
        address: IpAddr,
        source_length: u8,
        same: impl FnMut(Option<usize>, Option<usize>) -> bool,
    ) -> Scope {
        if source_length == 0 {
            // No bits were given and none are used (RFC 7871 section 7.1.2).
            return Scope {
                length: 0,
                mixed: false,
                exact: true,
            };
        }
        let (length, exact) = match address.to_canonical() {
            IpAddr::V4(four) => uniform(&self.four.views, four.to_bits(), same),
            IpAddr::V6(six) => uniform(&self.six.views, six.to_bits(), same),
        };
        // An IPv4-mapped address is looked up as IPv4 and answered in the bits of IPv6.
        let mapped = address.is_ipv6() && address.to_canonical().is_ipv4();
        let length = if mapped { length + 96 } else { length };
        Scope {
            length,
            mixed: length > source_length,
            exact,
        }
    }
}

/// Finds the shortest prefix of an address that is uniform, and whether it surely is the shortest.
fn uniform<W: Word>(
    views: &Space<W, Option<u32>>,
    address: W,
    mut same: impl FnMut(Option<usize>, Option<usize>) -> bool,
) -> (u8, bool) {
    let index = |view: Option<u32>| view.map(|view| view as usize);
    let starts = &views.starts;
    let here = views.index(address);
    let own = views.values[here];
    let mut known = BTreeMap::from([(own, true)]);
    let mut alike = |at: usize| {
        let other = views.values[at];
        let judged = known.entry(other);
        *judged.or_insert_with(|| same(index(own), index(other)))
    };
    let (mut left, mut right) = (here, here);
    for length in (0..W::BITS).rev() {
        let (first, last) = address.block(length);
        loop {
            // The next interval on either side that reaches into the block.
            let next = if starts[left] > first {
                left -= 1;
                left
            } else if starts.get(right + 1).is_some_and(|start| *start <= last) {
                right += 1;
                right
            } else {
                break;
            };
            if right - left > SCOPE_STEPS_MAX {
                return (length + 1, false);
            }
            if !alike(next) {
                return (length + 1, true);
            }
        }
    }
    (0, true)
}
