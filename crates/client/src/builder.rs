//! A client's settings.

use std::fmt;
use std::time::Duration;

use agentflow_signature::{InboundSecret, Signer};
use http::HeaderValue;

use crate::client::Inner;
use crate::endpoint::Endpoint;
use crate::exchange::Exchange;
use crate::retry::Retries;
use crate::tls::{self, Authorities};
use crate::{Client, Error};

/// What every request's `User-Agent` begins with.
const USER_AGENT: &str = concat!("agentflow-client/", env!("CARGO_PKG_VERSION"));

/// Settings of a [`Client`]. Nothing is checked before [`build`](Self::build).
///
/// There is no setting for plain HTTP, for redirects or for proxies. `Debug` shows no credential.
///
/// # Example: a server of one's own
///
/// ```no_run
/// use std::time::Duration;
/// use agentflow_client::{Client, InboundSecret};
///
/// # fn build(url: &str, secret: InboundSecret) -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder(url, secret)
///     .only_ca(std::fs::read("agentflow-data/cert.pem")?)
///     .attempts(3)
///     .deadline(Duration::from_secs(20))
///     .user_agent_suffix("contact-form/7")
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "settings are no client until they are built"]
pub struct ClientBuilder {
    endpoint_url: String,
    secret: InboundSecret,
    attempt_timeout: Duration,
    deadline: Duration,
    retries: Retries,
    user_agent_suffix: Option<String>,
    authorities: Authorities,
}

impl ClientBuilder {
    pub(crate) fn new(endpoint_url: &str, secret: InboundSecret) -> Self {
        Self {
            endpoint_url: endpoint_url.to_owned(),
            secret,
            attempt_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(60),
            retries: Retries {
                attempts_max: 5,
                base: Duration::from_millis(500),
                cap: Duration::from_secs(10),
            },
            user_agent_suffix: None,
            authorities: Authorities { public: true, extra: Vec::new() },
        }
    }

    /// Longest time for one attempt, from the resolving of the name to the last byte of the reply; half of it at most for
    /// the connection. 10 seconds unless set.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// Longest time for a send, all attempts and waits together. 60 seconds unless set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Most attempts for one send, from 1. 5 unless set.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.retries.attempts_max = attempts;
        self
    }

    /// The wait before the second attempt, which doubles with each further one, and the longest that it grows to; each is
    /// shortened by up to a half, at random. Half a second and 10 seconds unless set. A longer wait that AgentFlow
    /// asks for is kept.
    pub fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        (self.retries.base, self.retries.cap) = (base, cap);
        self
    }

    /// What stands after `agentflow-client/<version>` in the `User-Agent`: the sending program, such as `contact-form/7`.
    /// ASCII, printable.
    pub fn user_agent_suffix(mut self, suffix: impl Into<String>) -> Self {
        self.user_agent_suffix = Some(suffix.into());
        self
    }

    /// Trusts these authorities too, or this very certificate: one or more of them in PEM.
    pub fn extra_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.extra.push(pem.into());
        self
    }

    /// Trusts these authorities, or this very certificate, and no public one.
    pub fn only_ca(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.public = false;
        self.extra_ca(pem)
    }

    /// Makes the client. Opens no connection.
    ///
    /// # Errors
    ///
    /// [`Error::Endpoint`], [`Error::Setting`] for no time, no attempt or a user agent that is none, and
    /// [`Error::Authority`].
    pub fn build(self) -> Result<Client, Error> {
        let endpoint = Endpoint::parse(&self.endpoint_url)?;
        self.check()?;
        let user_agent = self.user_agent()?;
        let tls = tls::config(&self.authorities)?;
        let exchange =
            Exchange::new(endpoint, Signer::new(&self.secret), user_agent, tls, self.attempt_timeout / 2);
        Ok(Client::from_inner(Inner {
            exchange,
            retries: self.retries,
            attempt_timeout: self.attempt_timeout,
            deadline: self.deadline,
        }))
    }

    fn check(&self) -> Result<(), Error> {
        let positive = "longer than nothing";
        let rules = [
            ("attempt timeout", !self.attempt_timeout.is_zero(), positive),
            ("deadline", !self.deadline.is_zero(), positive),
            ("attempts", self.retries.attempts_max > 0, "at least 1"),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((setting, _, rule)) => Err(Error::Setting { setting, rule }),
            None => Ok(()),
        }
    }

    fn user_agent(&self) -> Result<HeaderValue, Error> {
        let Some(suffix) = &self.user_agent_suffix else { return Ok(HeaderValue::from_static(USER_AGENT)) };
        let fault = Error::Setting { setting: "user agent suffix", rule: "printable ASCII" };
        let is_printable = suffix.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if suffix.trim().is_empty() || !is_printable {
            return Err(fault);
        }
        HeaderValue::from_str(&format!("{USER_AGENT} {}", suffix.trim())).map_err(|_| fault)
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("attempt_timeout", &self.attempt_timeout)
            .field("deadline", &self.deadline)
            .field("retries", &self.retries)
            .field("public_authorities", &self.authorities.public)
            .field("extra_authorities", &self.authorities.extra.len())
            .finish_non_exhaustive()
    }
}
