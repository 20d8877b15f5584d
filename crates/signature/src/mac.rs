//! HMAC-SHA256 (RFC 2104, FIPS 198-1) from prepared states.
//!
//! A key costs two compressions once; a message then costs one for each of its blocks and one more. The one-shot
//! form copies the first and the last block of a message to the stack and reads everything between in place.

use sha2::Digest;
use sha2::block_api::compress256;
use subtle::{Choice, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

use crate::hex::Tag;

const BLOCK_BYTES: usize = 64;

/// The bytes of a block that a message's last byte, the padding bit and the length leave free.
const PADDING_BYTES_MIN: usize = 1 + 8;

/// SHA-256's initial state (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// The SHA-256 states after the inner and the outer key block. Wiped on drop.
#[derive(Clone)]
pub(crate) struct Key {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl Key {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        if key.len() <= BLOCK_BYTES {
            block[..key.len()].copy_from_slice(key);
        } else {
            block[..32].copy_from_slice(&sha2::Sha256::digest(key));
        }
        Self { inner: state_after(&block, 0x36), outer: state_after(&block, 0x5c) }
    }

    /// The tag of a timestamp that has not the usual number of digits, a dot and `body`.
    #[cold]
    #[inline(never)]
    pub(crate) fn tag_of_unusual(&self, timestamp: &[u8], body: &[u8]) -> Tag {
        let mut message = Running::after_timestamp(self, timestamp);
        message.update(body);
        message.finish(self)
    }

    /// The outer hash over the inner one.
    #[inline]
    fn close(&self, inner: [u32; 8]) -> Tag {
        let mut block = AFTER_TAG;
        block[..32].copy_from_slice(&bytes(&inner));
        let mut state = self.outer;
        compress256(&mut state, core::slice::from_ref(&block));
        state
    }
}

/// The block of the outer hash, without the tag that it begins with. It is written in pieces as large as those in which it is
/// read: the processor would otherwise wait until all of it is stored.
const AFTER_TAG: [u8; BLOCK_BYTES] = {
    let mut block = [0; BLOCK_BYTES];
    block[32] = 0x80;
    let bits = bits_with_key_block(32).to_be_bytes();
    let mut at = 0;
    while at < bits.len() {
        block[BLOCK_BYTES - bits.len() + at] = bits[at];
        at += 1;
    }
    block
};

impl Drop for Key {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

/// Digits of every timestamp from September 2001 to November 2286.
pub(crate) const USUAL_DIGITS: usize = 10;

/// A message of up to so many blocks is copied whole: a call of the compression function costs more than the copy.
const SMALL_BLOCKS: usize = 2;

/// The same, in a space that is worth clearing for longer messages only.
const MEDIUM_BLOCKS: usize = 6;

const SMALL_BODY_BYTES_MAX: usize = body_bytes_max(SMALL_BLOCKS);
const MEDIUM_BODY_BYTES_MAX: usize = body_bytes_max(MEDIUM_BLOCKS);

/// The longest body of a message of so many blocks.
const fn body_bytes_max(blocks: usize) -> usize {
    blocks * BLOCK_BYTES - PADDING_BYTES_MIN - USUAL_DIGITS - 1
}

/// A whole message cut into blocks, in up to three pieces.
///
/// Cut once, hashed under each secret. All of it is written before any of it is hashed, so that the processor has
/// stored the blocks by the time it loads them, which it would otherwise wait for.
pub(crate) struct Message<'a> {
    pieces: [&'a [[u8; BLOCK_BYTES]]; 3],
}

impl Message<'_> {
    /// Cuts the message of `timestamp`, a dot and `body`, and lends it to `use_message`.
    #[inline]
    pub(crate) fn cut<T>(
        timestamp: &[u8; USUAL_DIGITS],
        body: &[u8],
        use_message: impl FnOnce(&Message<'_>) -> T,
    ) -> T {
        let (mut small, mut medium, mut first, mut end);
        let pieces = match body.len() {
            0..=SMALL_BODY_BYTES_MAX => {
                small = [0; SMALL_BLOCKS * BLOCK_BYTES];
                [copied(&mut small, timestamp, body), &[], &[]]
            }
            length if length <= MEDIUM_BODY_BYTES_MAX => {
                medium = [0; MEDIUM_BLOCKS * BLOCK_BYTES];
                [copied(&mut medium, timestamp, body), &[], &[]]
            }
            _ => {
                first = [0; BLOCK_BYTES];
                end = [0; 3 * BLOCK_BYTES];
                in_place(&mut first, &mut end, timestamp, body)
            }
        };
        use_message(&Message { pieces })
    }

    /// The message's tag under `key`.
    #[inline]
    pub(crate) fn tag(&self, key: &Key) -> Tag {
        let mut state = key.inner;
        for piece in self.pieces {
            if !piece.is_empty() {
                compress256(&mut state, piece);
            }
        }
        key.close(state)
    }
}

/// The blocks of a message with a short body, written to `space`, which is all zero.
#[inline]
fn copied<'a>(space: &'a mut [u8], timestamp: &[u8; USUAL_DIGITS], body: &[u8]) -> &'a [[u8; BLOCK_BYTES]] {
    let message_bytes = USUAL_DIGITS + 1 + body.len();
    begin(space, timestamp);
    space[USUAL_DIGITS + 1..message_bytes].copy_from_slice(body);
    space[message_bytes] = 0x80;
    let blocks = (message_bytes + PADDING_BYTES_MIN).div_ceil(BLOCK_BYTES);
    end_with_length(&mut space[..blocks * BLOCK_BYTES], message_bytes)
}

/// The blocks of a message with a larger body: the first, those that can stay in the body, and the end.
#[inline]
fn in_place<'a>(
    first: &'a mut [u8; BLOCK_BYTES],
    end: &'a mut [u8; 3 * BLOCK_BYTES],
    timestamp: &[u8; USUAL_DIGITS],
    body: &'a [u8],
) -> [&'a [[u8; BLOCK_BYTES]]; 3] {
    let (head, rest) = body.split_at(BLOCK_BYTES - USUAL_DIGITS - 1);
    let (between, tail) = rest.as_chunks();
    begin(first, timestamp);
    first[USUAL_DIGITS + 1..].copy_from_slice(head);
    // A copy of known length needs neither a call nor a branch, so it takes whatever stands before the tail along,
    // and the end is hashed from where the tail begins.
    end[..BLOCK_BYTES].copy_from_slice(&body[body.len() - BLOCK_BYTES..]);
    end[BLOCK_BYTES] = 0x80;
    let start = BLOCK_BYTES - tail.len();
    let end = &mut end[start..start + blocks_with_padding(tail.len()) * BLOCK_BYTES];
    [core::slice::from_ref(first), between, end_with_length(end, USUAL_DIGITS + 1 + body.len())]
}

/// Writes what every message begins with.
#[inline]
fn begin(space: &mut [u8], timestamp: &[u8; USUAL_DIGITS]) {
    space[..USUAL_DIGITS].copy_from_slice(timestamp);
    space[USUAL_DIGITS] = b'.';
}

/// Writes what every message ends with.
#[inline]
fn end_with_length(space: &mut [u8], message_bytes: usize) -> &[[u8; BLOCK_BYTES]] {
    let length_start = space.len() - 8;
    space[length_start..].copy_from_slice(&bits_with_key_block(message_bytes as u64).to_be_bytes());
    space.as_chunks().0
}

/// A message on its way, in pieces of any size. Wiped on drop.
#[derive(Clone)]
pub(crate) struct Running {
    state: [u32; 8],
    block: [u8; BLOCK_BYTES],
    total_bytes: u64,
}

impl Running {
    pub(crate) fn new(key: &Key) -> Self {
        Self { state: key.inner, block: [0; BLOCK_BYTES], total_bytes: 0 }
    }

    /// A message that begins with `timestamp` and a dot.
    pub(crate) fn after_timestamp(key: &Key, timestamp: &[u8]) -> Self {
        let mut message = Self::new(key);
        message.update(timestamp);
        message.update(b".");
        message
    }

    fn filled(&self) -> usize {
        (self.total_bytes % BLOCK_BYTES as u64) as usize
    }

    pub(crate) fn update(&mut self, mut piece: &[u8]) {
        let filled = self.filled();
        self.total_bytes += piece.len() as u64;
        if filled > 0 {
            let (head, rest) = piece.split_at(piece.len().min(BLOCK_BYTES - filled));
            self.block[filled..filled + head.len()].copy_from_slice(head);
            if filled + head.len() < BLOCK_BYTES {
                return;
            }
            compress256(&mut self.state, &[self.block]);
            piece = rest;
        }
        let (blocks, tail) = piece.as_chunks();
        compress256(&mut self.state, blocks);
        self.block[..tail.len()].copy_from_slice(tail);
    }

    pub(crate) fn finish(mut self, key: &Key) -> Tag {
        let filled = self.filled();
        let mut blocks = [self.block, [0; BLOCK_BYTES]];
        blocks[0][filled] = 0x80;
        blocks[0][filled + 1..].fill(0);
        let needed = blocks_with_padding(filled);
        blocks[needed - 1][56..].copy_from_slice(&bits_with_key_block(self.total_bytes).to_be_bytes());
        compress256(&mut self.state, &blocks[..needed]);
        key.close(self.state)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.state.zeroize();
        self.block.zeroize();
    }
}

/// Whether two tags are the same, in constant time.
///
/// Words rather than bytes: subtle's comparison of 32 bytes costs as much as half a block of hashing.
#[inline]
pub(crate) fn equal(left: &Tag, right: &Tag) -> Choice {
    let difference = left.iter().zip(right).fold(0, |difference, (left, right)| difference | (left ^ right));
    difference.ct_eq(&0)
}

/// A state as the bytes that SHA-256 gives out.
#[inline]
pub(crate) fn bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    let (words, _) = bytes.as_chunks_mut::<4>();
    for (bytes, word) in words.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    bytes
}

/// The state after the key block, XORed with HMAC's inner or outer pad.
fn state_after(key_block: &[u8; BLOCK_BYTES], pad: u8) -> [u32; 8] {
    let block = Zeroizing::new([key_block.map(|byte| byte ^ pad)]);
    let mut state = INITIAL;
    compress256(&mut state, &*block);
    state
}

/// How many blocks a message's last `end` bytes, fewer than a block, need with the padding.
const fn blocks_with_padding(end: usize) -> usize {
    if end + PADDING_BYTES_MIN <= BLOCK_BYTES { 1 } else { 2 }
}

/// The length that SHA-256 appends: bits, the key block before the message included.
const fn bits_with_key_block(message_bytes: u64) -> u64 {
    (message_bytes + BLOCK_BYTES as u64) * 8
}

#[cfg(test)]
mod tests;
