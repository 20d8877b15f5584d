//! The whole server over real HTTPS: leads in, the management API, events out. Every reply is held against the contract
//! that the server serves.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod contract;
mod dashboard;
mod dashboard_access;
mod dashboard_factor;
mod dashboard_pages;
mod dashboard_words;
mod destinations;
mod http_rules;
mod intake;
mod leads;
mod operations;
mod receiver;
mod rig;
mod roles;
mod rotation;
mod secrets;
mod settings;
