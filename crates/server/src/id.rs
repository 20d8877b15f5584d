//! The ids that only the server knows, and the one place that mints any id.

use std::cell::RefCell;

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
    /// A sign-in to the dashboard.
    SessionKind, SessionId = "ses";
    /// One row of the audit log.
    AuditKind, AuditId = "aud";
    /// One row of the operational log.
    OperationRowKind, OperationId = "opl";
}

/// A fresh id: `now` to the millisecond and 74 random bits.
pub fn mint<K: IdKind>(now: Moment) -> Id<K> {
    Id::new(u64::try_from(now.unix_millis()).unwrap_or(0), STOCK.with_borrow_mut(Stock::take))
}

/// Random bytes of one id.
type IdBytes = [u8; 10];

/// Random bytes fetched for many ids at once: a call costs as much as a hundred bytes, and a lead has four ids or more.
struct Stock {
    ids: [IdBytes; 64],
    left: usize,
}

thread_local! {
    static STOCK: RefCell<Stock> = const { RefCell::new(Stock { ids: [[0; 10]; 64], left: 0 }) };
}

impl Stock {
    fn take(&mut self) -> IdBytes {
        if self.left == 0 {
            let bytes: [u8; 640] = random();
            self.ids.as_flattened_mut().copy_from_slice(&bytes);
            self.left = self.ids.len();
        }
        self.left -= 1;
        self.ids[self.left]
    }
}

/// `N` bytes from the system's cryptographic random source, each time: a generator of the process's own would hand out the same bytes
/// twice where a machine is resumed twice from one image of its memory, and the system's does not.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system's random source answers once the kernel has booted");
    bytes
}
