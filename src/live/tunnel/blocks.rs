//! Bytes that wait, in blocks whose size does not depend on how they came.
//!
//! In go pieces of any size, out come the same bytes in order. A small piece joins the block before
//! it, so that a peer that sends single bytes costs as much memory as one that sends many at a time.

use std::collections::VecDeque;

use tokio::io::ReadBuf;

use super::CHUNK;

/// A queue of bytes. The bound on it is its owner's.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    blocks: VecDeque<Vec<u8>>,
    /// How many bytes of the first block have been read.
    used: usize,
    len: usize,
    held: usize,
}

impl Blocks {
    /// Tells how many bytes wait.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Tells whether none wait.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tells how much memory the blocks take: at most twice what waits, and what was read of the
    /// first one.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Adds a piece behind all others.
    pub(super) fn push(&mut self, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        self.len += data.len();
        if let Some(last) = self.blocks.back_mut()
            && last.len() + data.len() <= CHUNK
        {
            let before = last.capacity();
            last.extend_from_slice(data);
            self.held += last.capacity() - before;
            return;
        }
        let block = data.to_vec();
        self.held += block.capacity();
        self.blocks.push_back(block);
    }

    /// Moves bytes into `out` until it is full or none are left; tells how many.
    pub(super) fn take(&mut self, out: &mut ReadBuf<'_>) -> usize {
        let before = out.remaining();
        while out.remaining() > 0 {
            let Some(block) = self.blocks.front() else {
                break;
            };
            let n = out.remaining().min(block.len() - self.used);
            out.put_slice(&block[self.used..self.used + n]);
            self.used += n;
            if self.used == block.len() {
                self.drop_first();
            }
        }
        let taken = before - out.remaining();
        self.len -= taken;
        taken
    }

    /// Takes out one piece of at most so many bytes, but not none.
    pub(super) fn pop(&mut self, most: usize) -> Option<Vec<u8>> {
        let block = self.blocks.front()?;
        let n = most.min(block.len() - self.used);
        if n == 0 {
            return None;
        }
        self.len -= n;
        if n == block.len() {
            return self.drop_first();
        }
        let piece = block[self.used..self.used + n].to_vec();
        self.used += n;
        if self.used == block.len() {
            self.drop_first();
        }
        Some(piece)
    }

    fn drop_first(&mut self) -> Option<Vec<u8>> {
        self.used = 0;
        let block = self.blocks.pop_front()?;
        self.held -= block.capacity();
        Some(block)
    }

    /// Finds a byte: how many wait before the first one like it.
    pub(super) fn position(&self, byte: u8) -> Option<usize> {
        let mut before = 0;
        for (n, block) in self.blocks.iter().enumerate() {
            let block = if n == 0 { &block[self.used..] } else { block };
            if let Some(at) = block.iter().position(|b| *b == byte) {
                return Some(before + at);
            }
            before += block.len();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes pieces of these sizes in turn until so many bytes wait.
    fn filled(sizes: &[usize], total: usize) -> Blocks {
        let mut blocks = Blocks::default();
        let mut next = 0_u8;
        for size in sizes.iter().cycle() {
            if blocks.len() >= total {
                return blocks;
            }
            let piece: Vec<u8> = (0..*size)
                .map(|_| {
                    next = next.wrapping_add(1);
                    next
                })
                .collect();
            blocks.push(&piece);
        }
        blocks
    }

    #[test]
    fn memory_is_at_most_twice_the_payload_however_small_the_pieces() {
        let total = 300_000;
        for sizes in [
            &[1][..],
            &[7],
            &[1, CHUNK],
            &[CHUNK / 2 + 1],
            &[CHUNK, 1, 1],
        ] {
            let blocks = filled(sizes, total);
            assert!(
                blocks.held() <= 2 * blocks.len() + 8,
                "{sizes:?}: {}",
                blocks.held()
            );
            let most = 2 + 2 * blocks.len() / CHUNK;
            assert!(
                blocks.blocks.len() <= most,
                "{sizes:?}: {}",
                blocks.blocks.len()
            );
            let real: usize = blocks.blocks.iter().map(Vec::capacity).sum();
            assert_eq!(blocks.held(), real);
        }
    }

    #[test]
    fn what_comes_out_is_what_went_in_whichever_way_it_is_taken() {
        let mut blocks = filled(&[1, 5, CHUNK - 3, 2, CHUNK], 200_000);
        let length = blocks.len();
        assert_eq!(blocks.position(5), Some(4));
        let mut came = Vec::new();
        while !blocks.is_empty() {
            came.extend(blocks.pop(700).unwrap());
            let mut buffer = [0; 999];
            let mut out = ReadBuf::new(&mut buffer);
            let taken = blocks.take(&mut out);
            assert_eq!(taken, out.filled().len());
            came.extend_from_slice(out.filled());
        }
        assert_eq!(came.len(), length);
        assert!(
            came.iter()
                .zip(1_usize..)
                .all(|(byte, n)| usize::from(*byte) == n % 256)
        );
        assert_eq!((blocks.held(), blocks.pop(1)), (0, None));
    }
}
