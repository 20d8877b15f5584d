//! The AgentFlow webhook server as a library; `main.rs` is a thin binary over it.
//!
//! Modules in the order in which a lead flows through them:
//!
//! ```text
//! edge -> intake (verify -> validate -> qualify -> commit) -> store -> deliver
//!                                                              ^
//! operator -> edge -> api, dashboard (decide) -----------------+
//! ```
//!
//! No module imports a later stage. Only [`clock`] reads time, only `deliver/client.rs` opens outbound sockets, only
//! `edge/` and `reply.rs` name a status code; `tests/architecture.rs` holds these rules.

pub mod clock;
pub mod config;
mod files;
pub mod id;
pub mod password;
#[cfg(test)]
mod random;
pub mod rate;
pub mod reason;
pub mod record;
pub mod telemetry;
pub mod totp;
mod uses;
pub mod vault;

pub mod accounts;
pub mod announce;
pub mod api;
pub mod dashboard;
pub mod deliver;
pub mod destinations;
pub mod directory;
pub mod dispatch;
pub mod edge;
pub mod explainer;
pub mod intake;
pub mod management;
pub mod qualify;
pub mod reply;
pub mod review;
pub mod rotation;
pub mod server;
pub mod settings;
pub mod setup;
pub mod store;

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
