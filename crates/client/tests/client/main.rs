//! The client against AgentFlow's own server, and against a listener that does what no server should.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod architecture;
mod blocking;
mod needles;
mod paces;
mod refusals;
mod replies;
mod rig;
mod script;
mod server;
