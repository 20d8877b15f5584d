//! The only source of randomness: the operating system's.

/// Sixteen random bytes; `None` where the system has none to give.
pub(crate) fn bytes() -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}

/// A share of a wait, evenly from nothing (0) to all of it ([`u32::MAX`]). All of it where the system has no
/// randomness: to wait longer is the safer mistake.
pub(crate) fn share() -> u32 {
    getrandom::u32().unwrap_or(u32::MAX)
}
