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
        let mut block = [0; BLOCK_BYTES];
        block[..32].copy_from_slice(&bytes(&inner));
        block[32] = 0x80;
        block[56..].copy_from_slice(&bits_with_key_block(32).to_be_bytes());
        let mut state = self.outer;
        compress256(&mut state, core::slice::from_ref(&block));
        state
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
    }
}

/// Digits of every timestamp from September 2001 to November 2286.
pub(crate) const USUAL_DIGITS: usize = 10;

/// What of the first block the timestamp and its dot leave to the body.
const FIRST_BODY_BYTES: usize = BLOCK_BYTES - USUAL_DIGITS - 1;

/// A whole message cut into blocks: the first and the end in a [`Space`], those between in place.
///
/// Cut once, hashed under each secret. All of it is written before any of it is hashed, so that the processor has
/// stored the blocks by the time it loads them, which it would otherwise wait for.
pub(crate) struct Message<'a> {
    first: &'a [u8; BLOCK_BYTES],
    between: &'a [[u8; BLOCK_BYTES]],
    end: &'a [[u8; BLOCK_BYTES]],
}

/// Where a [`Message`] puts the blocks that it has to write. Apart from it, so that moving the message does not copy
/// them.
pub(crate) struct Space {
    first: [u8; BLOCK_BYTES],
    /// What stands before the tail in the body, the tail up to byte 64, and the padding.
    end: [u8; 3 * BLOCK_BYTES],
}

impl Space {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { first: [0; BLOCK_BYTES], end: [0; 3 * BLOCK_BYTES] }
    }
}

impl<'a> Message<'a> {
    /// The message of `timestamp`, a dot and `body`.
    #[inline(always)]
    pub(crate) fn new(space: &'a mut Space, timestamp: &[u8; USUAL_DIGITS], body: &'a [u8]) -> Self {
        let Space { first, end } = space;
        first[..USUAL_DIGITS].copy_from_slice(timestamp);
        first[USUAL_DIGITS] = b'.';
        let length = bits_with_key_block((USUAL_DIGITS + 1 + body.len()) as u64).to_be_bytes();

        let (head, rest) = body.split_at(body.len().min(FIRST_BODY_BYTES));
        let (between, tail) = rest.as_chunks();
        if let Some(last) = body.last_chunk::<BLOCK_BYTES>() {
            // Copies of known length need neither a call nor a branch, so the end takes whatever stands before the
            // tail along, and is hashed from where the tail begins.
            first[USUAL_DIGITS + 1..].copy_from_slice(&body[..FIRST_BODY_BYTES]);
            end[..BLOCK_BYTES].copy_from_slice(last);
        } else {
            first[USUAL_DIGITS + 1..][..head.len()].copy_from_slice(head);
            end[BLOCK_BYTES - tail.len()..BLOCK_BYTES].copy_from_slice(tail);
        }

        // Where the padding begins, counted from the block that it begins in.
        let (padded, padding_start) =
            if head.len() < FIRST_BODY_BYTES { (0, USUAL_DIGITS + 1 + head.len()) } else { (1, tail.len()) };
        let end_blocks = blocks_with_padding(padding_start) - 1 + padded;
        let end = &mut end[(BLOCK_BYTES - tail.len())..];
        if padded == 1 {
            end[padding_start] = 0x80
        } else {
            first[padding_start] = 0x80
        }
        let (end, _) = end.as_chunks_mut();
        let end = &mut end[..end_blocks];
        end.last_mut().unwrap_or(first)[56..].copy_from_slice(&length);
        Self { first, between, end }
    }

    /// The message's tag under `key`.
    #[inline]
    pub(crate) fn tag(&self, key: &Key) -> Tag {
        let mut state = key.inner;
        compress256(&mut state, core::slice::from_ref(self.first));
        if !self.between.is_empty() {
            compress256(&mut state, self.between);
        }
        if !self.end.is_empty() {
            compress256(&mut state, self.end);
        }
        key.close(state)
    }
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
