//! The hashes that one explanation may make.

use sha2::{Digest, Sha256};
use subtle::Choice;

use crate::hex::Tag;
use crate::mac::{self, Key, Running};

/// Most hashes in one explanation, beside those of the body as it is.
pub const HASHES_MAX: usize = 300;

/// Most bytes that these hashes read altogether. 8 MiB.
pub const HASHED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Counts what is hashed, and compares it with the tags that were sent.
pub(super) struct Budget<'a> {
    tags: &'a [Tag],
    hashes_left: usize,
    bytes_left: usize,
}

impl<'a> Budget<'a> {
    pub(super) fn new(tags: &'a [Tag]) -> Self {
        Self { tags, hashes_left: HASHES_MAX, bytes_left: HASHED_BYTES_MAX }
    }

    /// Whether `key` over the message's pieces makes one of the tags. False, unhashed, where the budget is used up.
    pub(super) fn makes(&mut self, key: &Key, pieces: &[&[u8]]) -> bool {
        self.take(length(pieces)) && self.makes_at_any_length(key, pieces)
    }

    /// The same, beside the budget.
    pub(super) fn makes_at_any_length(&self, key: &Key, pieces: &[&[u8]]) -> bool {
        let mut message = Running::new(key);
        pieces.iter().for_each(|piece| message.update(piece));
        self.is_sent(&message.finish(key))
    }

    /// Whether a plain SHA-256 of the pieces is one of the tags.
    pub(super) fn is_plain(&mut self, pieces: &[&[u8]]) -> bool {
        if !self.take(length(pieces)) {
            return false;
        }
        let hash = pieces.iter().fold(Sha256::new(), |hash, piece| hash.chain_update(piece)).finalize();
        let (words, _) = hash.as_chunks::<4>();
        self.is_sent(&core::array::from_fn(|at| u32::from_be_bytes(words[at])))
    }

    /// Takes one hash of so many bytes. A smaller one may fit where a larger one did not.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let fits = self.hashes_left > 0 && self.bytes_left >= bytes;
        if fits {
            self.hashes_left -= 1;
            self.bytes_left -= bytes;
        }
        fits
    }

    /// Compared in constant time, as a verifier does: the tag may be the right one for what a stranger sent.
    fn is_sent(&self, tag: &Tag) -> bool {
        self.tags.iter().fold(Choice::from(0), |found, sent| found | mac::equal(sent, tag)).into()
    }
}

fn length(pieces: &[&[u8]]) -> usize {
    pieces.iter().map(|piece| piece.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::{Budget, HASHED_BYTES_MAX, HASHES_MAX};
    use crate::mac::Key;

    #[test]
    fn is_used_up_by_number_and_by_bytes() {
        let (key, mut budget) = (Key::new(b"secret"), Budget::new(&[]));
        for _ in 0..HASHES_MAX {
            assert!(budget.take(1));
        }
        assert!(!budget.take(0) && !budget.makes(&key, &[]) && !budget.is_plain(&[]));

        let mut budget = Budget::new(&[]);
        assert!(budget.take(HASHED_BYTES_MAX - 1) && !budget.take(2) && budget.take(1) && budget.take(0));
    }
}
