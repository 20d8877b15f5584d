//! The two directions a webhook can travel, as types, so that their secrets cannot be swapped.

/// Which way a webhook travels. Implemented by [`Inbound`] and [`Outbound`] alone.
///
/// Every secret, signer, verifier and proof carries its direction as a type parameter: a verifier for one
/// direction refuses, at compile time, the secret of the other.
pub trait Direction: sealed::Sealed {}

/// Leads on their way into AgentFlow: the sending tool signs, AgentFlow verifies.
#[derive(Debug)]
pub enum Inbound {}

/// Events on their way out of AgentFlow: AgentFlow signs, the receiving service verifies.
#[derive(Debug)]
pub enum Outbound {}

impl Direction for Inbound {}
impl Direction for Outbound {}

pub(crate) mod sealed {
    pub trait Sealed {
        /// The direction's name in `Debug` output.
        const NAME: &'static str;
    }

    impl Sealed for super::Inbound {
        const NAME: &'static str = "Inbound";
    }

    impl Sealed for super::Outbound {
        const NAME: &'static str = "Outbound";
    }
}
