//! The edge from outside: real sockets, real TLS, raw bytes where a well-behaved client would not send them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by failing")]

mod bodies;
mod connections;
mod ending;
mod framing;
mod http2;
mod support;
