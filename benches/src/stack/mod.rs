//! A real server in a process of its own, with a sender before it and a receiver behind it, all over TLS.
//!
//! Found a [`Site`], start a [`Receiver`] for its events, [configure](Site::configure) the one to trust the other, then
//! start the server and speak to it through a [`Client`].

mod bad;
mod bare;
mod client;
mod fleet;
pub mod leads;
mod measure;
mod operator;
mod past;
mod receiver;
mod rows;
mod senders;
mod site;
mod tls;

pub use bad::{Bad, Badness};
pub use bare::{Bare, serve_bare};
pub use client::{Accepted, Client, Connection, LeadReply};
pub use fleet::Fleet;
pub use measure::{Latencies, ProcessUse};
pub use operator::Operator;
pub use past::{Past, Rush, live_through};
pub use receiver::{Received, Receiver};
pub use rows::{BareRows, bare_rows};
pub use senders::{Until, intake, new_lead};
pub use site::{Credentials, Process, Site};

/// Anything that ends a run.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;
