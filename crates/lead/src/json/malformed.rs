//! Why a body is no JSON object that we accept.

/// What is wrong with the JSON itself. The first fault found; offsets are bytes from the start of the body.
///
/// The text names places, never what stands there, so that it may be logged and sent back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedJson {
    /// The body begins with a byte order mark (UTF-8 or UTF-16).
    #[error("the body begins with a byte order mark")]
    Bom,
    /// The bytes are not UTF-8.
    #[error("not UTF-8 at byte {offset}")]
    InvalidUtf8 {
        /// Where the first invalid sequence begins.
        offset: usize,
    },
    /// A NUL, raw or written `\u0000`.
    #[error("a NUL character at byte {offset}")]
    Nul {
        /// Where the NUL or its escape begins.
        offset: usize,
    },
    /// Half of a surrogate pair, such as `\ud800` alone.
    #[error("half of a surrogate pair at byte {offset}")]
    LoneSurrogate {
        /// Where the escape begins.
        offset: usize,
    },
    /// Objects and arrays nest deeper than [`DEPTH_MAX`](crate::limits::DEPTH_MAX).
    #[error("nested too deeply at byte {offset}")]
    TooDeep {
        /// Where the first bracket too many stands.
        offset: usize,
    },
    /// An object has more keys than [`KEYS_MAX`](crate::limits::KEYS_MAX).
    #[error("an object has too many keys at byte {offset}")]
    TooManyKeys {
        /// Where the first key too many begins.
        offset: usize,
    },
    /// A key stands twice in one object, after its escapes are resolved.
    #[error("an object has the same key twice, again at byte {offset}")]
    DuplicateKey {
        /// Where the repeated key begins.
        offset: usize,
    },
    /// Well-formed so far, but not an object at the top.
    #[error("not a JSON object")]
    NotAnObject,
    /// The text ends in the middle, or there is none.
    #[error("the JSON ends too early, at line {line}, column {column}")]
    UnexpectedEnd {
        /// Line, from 1.
        line: usize,
        /// Byte of the line, from 1; 0 before its first.
        column: usize,
    },
    /// Not JSON (RFC 8259), bytes after the closing brace included.
    #[error("not JSON at line {line}, column {column}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Byte of the line, from 1; 0 before its first.
        column: usize,
    },
}
