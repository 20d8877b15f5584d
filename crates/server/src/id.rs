//! The ids that only the server knows, and the one place that mints any id.

use agentflow_events::{Id, IdKind, Moment};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident, $alias:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind {}
        impl IdKind for $kind { const PREFIX: &'static str = $prefix; }
        $(#[$doc])*
        pub type $alias = Id<$kind>;
    )*};
}

kinds! {
    /// One accepted inbound request.
    SubmissionKind, SubmissionId = "sub";
    /// One row of the inbound log.
    LogKind, LogId = "log";
    /// An inbound endpoint, whose token is the credential in its URL.
    EndpointKind, EndpointId = "ep";
    /// A URL that wants events.
    DestinationKind, DestinationId = "dst";
    /// One event for one destination.
    DeliveryKind, DeliveryId = "dlv";
    /// A signing secret.
    SecretKind, SecretId = "sec";
    /// An API token.
    TokenKind, TokenId = "tok";
    /// One row of the audit log.
    AuditKind, AuditId = "aud";
}

/// A fresh id: `now` to the millisecond and 74 random bits.
pub fn mint<K: IdKind>(now: Moment) -> Id<K> {
    Id::new(u64::try_from(now.unix_millis()).unwrap_or(0), random())
}

/// `N` bytes from the system's cryptographic random source.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system's random source answers once the kernel has booted");
    bytes
}
