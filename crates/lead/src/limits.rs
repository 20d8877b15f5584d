//! Every limit of the payload, in one place. What is longer, deeper or more is refused, never cut.

/// Largest body in bytes: 256 KiB.
pub const BODY_BYTES_MAX: usize = 262_144;

/// Deepest nesting of objects and arrays. The object at the top is the first level.
pub const DEPTH_MAX: usize = 32;

/// Most keys in any one object, at whatever depth.
pub const KEYS_MAX: usize = 256;

/// Longest `name` in characters (Unicode scalar values), counted after trimming.
pub const NAME_CHARS_MAX: usize = 200;

/// Longest `email` in bytes, as sent (after trimming) and in the form of its identity.
pub const EMAIL_BYTES_MAX: usize = 254;

/// Longest part before the `@` in bytes.
pub const EMAIL_LOCAL_BYTES_MAX: usize = 64;

/// Longest `company` in characters (Unicode scalar values), as sent.
pub const COMPANY_CHARS_MAX: usize = 200;

/// Longest `message` in characters (Unicode scalar values), as sent.
pub const MESSAGE_CHARS_MAX: usize = 10_000;

/// Longest `source` in characters (Unicode scalar values), as sent.
pub const SOURCE_CHARS_MAX: usize = 200;

/// Longest `timestamp` in bytes that is looked at. No time takes more to write, with a zone's name after it.
pub const TIMESTAMP_BYTES_MAX: usize = 128;
