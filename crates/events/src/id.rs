//! Ids: a prefix that names the kind and a UUIDv7 (RFC 9562) in 32 hex digits, sortable by time.
//!
//! Nothing here reads a clock or draws randomness; both are arguments.

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Moment;

const UNIX_MILLIS_MAX: u64 = (1 << 48) - 1;
const HEX_DIGITS: usize = 32;

/// The two hex digits of every byte.
const HEX_PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// What an id names. Implement it on an empty type to have a further kind of id.
///
/// # Example: an id of one's own
///
/// ```
/// use agentflow_events::{Id, IdKind};
///
/// enum Invoice {}
/// impl IdKind for Invoice {
///     const PREFIX: &'static str = "inv";
/// }
///
/// let id: Id<Invoice> = "inv_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f".parse()?;
/// assert_eq!(id.unix_millis(), 0x0192_f3a1_c0de);
/// # Ok::<(), agentflow_events::IdError>(())
/// ```
pub trait IdKind {
    /// What stands before the underscore: lower-case ASCII letters, such as `lead`.
    const PREFIX: &'static str;
}

/// An id of one kind: 16 bytes that print as `prefix_` and 32 lower-case hex digits.
///
/// Ids order by the time they were made at, to the millisecond, as bytes and as text alike; within a millisecond
/// their order is random. Ids of different kinds don't mix:
///
/// ```compile_fail
/// use agentflow_events::{EventId, LeadId};
/// let event: EventId = LeadId::from_bytes([0; 16]);
/// ```
pub struct Id<K> {
    bytes: [u8; 16],
    kind: PhantomData<fn() -> K>,
}

impl<K> Id<K> {
    /// Makes an id from a time and random bytes, six bits of which give way to UUIDv7's version and variant.
    ///
    /// Times past 48 bits of milliseconds (the year 10889) count as the last one that fits.
    pub fn new(unix_millis: u64, random: [u8; 10]) -> Self {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&unix_millis.min(UNIX_MILLIS_MAX).to_be_bytes()[2..]);
        bytes[6..].copy_from_slice(&random);
        bytes[6] = 0x70 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Self::from_bytes(bytes)
    }

    /// [`new`](Self::new) at a [`Moment`]; one before 1970 counts as 1970.
    pub fn at(moment: Moment, random: [u8; 10]) -> Self {
        Self::new(u64::try_from(moment.unix_millis()).unwrap_or(0), random)
    }

    /// The id of these bytes, as a store hands them back. Version and variant are not looked at.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self { bytes, kind: PhantomData }
    }

    /// The sixteen bytes, in the order in which they sort and print.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// When the id was made, in milliseconds since 1970: its first six bytes.
    pub fn unix_millis(&self) -> u64 {
        self.bytes[..6].iter().fold(0, |millis, &byte| millis << 8 | u64::from(byte))
    }

    /// What stands after the prefix in its text.
    pub(crate) fn hex_digits(&self) -> [u8; HEX_DIGITS] {
        let mut hex = [0; HEX_DIGITS];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.bytes) {
            pair.copy_from_slice(&HEX_PAIRS[usize::from(byte)]);
        }
        hex
    }
}

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// It does not begin with the kind's prefix and an underscore.
    #[error("the id does not begin with \"{prefix}_\"")]
    WrongPrefix {
        /// The prefix that was expected.
        prefix: &'static str,
    },
    /// What follows the prefix has not 32 bytes.
    #[error("the id has {found} bytes after its prefix, not 32")]
    WrongLength {
        /// How many bytes follow the prefix.
        found: usize,
    },
    /// A byte after the prefix is no lower-case hex digit.
    #[error("byte {position} after the id's prefix is not one of 0-9 and a-f")]
    NotLowerHex {
        /// Where, counted from 0 after the underscore.
        position: usize,
    },
}

impl IdError {
    /// The stable code: `invalid_id`.
    pub const fn code(&self) -> &'static str {
        "invalid_id"
    }
}

impl<K: IdKind> FromStr for Id<K> {
    type Err = IdError;

    /// Reads `prefix_` and 32 lower-case hex digits, nothing before, between or after. Any UUID will do: ids are
    /// opaque to whoever receives them.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text
            .strip_prefix(K::PREFIX)
            .and_then(|rest| rest.strip_prefix('_'))
            .ok_or(IdError::WrongPrefix { prefix: K::PREFIX })?
            .as_bytes();
        if digits.len() != HEX_DIGITS {
            return Err(IdError::WrongLength { found: digits.len() });
        }
        let mut bytes = [0; 16];
        for (position, &digit) in digits.iter().enumerate() {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return Err(IdError::NotLowerHex { position }),
            };
            bytes[position / 2] = bytes[position / 2] << 4 | value;
        }
        Ok(Self::from_bytes(bytes))
    }
}

impl<K: IdKind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(K::PREFIX)?;
        f.write_char('_')?;
        f.write_str(std::str::from_utf8(&self.hex_digits()).map_err(|_| fmt::Error)?)
    }
}

impl<K: IdKind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: IdKind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, K: IdKind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::deserialize(deserializer, "an id")
    }
}

// By hand, because deriving would ask the same of `K`, which is a mere label.
impl<K> Copy for Id<K> {}

impl<K> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl<K> Eq for Id<K> {}

impl<K> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl<K> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $id:ident, $prefix:literal;)+) => {$(
        #[doc = concat!("The kind of [`", stringify!($id), "`].")]
        pub enum $kind {}

        impl IdKind for $kind {
            const PREFIX: &'static str = $prefix;
        }

        $(#[$doc])*
        pub type $id = Id<$kind>;
    )+};
}

kinds! {
    /// Names one event, on every attempt and resend alike: `evt_…`.
    EventKind, EventId, "evt";
    /// Names one lead, the subject of an event: `lead_…`.
    LeadKind, LeadId, "lead";
    /// Names the workspace that an event comes from: `ws_…`.
    WorkspaceKind, WorkspaceId, "ws";
    /// Names the person who decided: `op_…`.
    OperatorKind, OperatorId, "op";
}
