//! Names to addresses that the policy allows.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::failure::SendError;
use super::names::{NameError, Names};
use super::target::TargetHost;
use super::{AddressPolicy, Target};

/// Resolves hosts and judges what they resolve to.
///
/// An answer whose addresses were all allowed is believed as long as it says itself, but for a few seconds at most; a host
/// that changes its mind meanwhile is still sent only to addresses that were judged. A refusal is never remembered.
pub(super) struct Resolver {
    policy: AddressPolicy,
    names: Names,
    answers: Mutex<HashMap<(Arc<str>, u16), Answer>>,
}

struct Answer {
    addresses: Arc<[SocketAddr]>,
    until: Instant,
}

impl Resolver {
    /// How long an answer is believed at most.
    const BELIEVED_FOR: Duration = Duration::from_secs(5);

    /// `dns_servers`: asked instead of the system's, unless empty.
    pub(super) fn new(policy: AddressPolicy, dns_servers: Vec<SocketAddr>) -> Self {
        Self { policy, names: Names::new(dns_servers), answers: Mutex::default() }
    }

    pub(super) fn policy(&self) -> &AddressPolicy {
        &self.policy
    }

    /// The target's addresses, all of them allowed.
    pub(super) async fn resolve(&self, target: &Target) -> Result<Arc<[SocketAddr]>, SendError> {
        let name = match &target.host {
            TargetHost::Address(address) => {
                return self.judged(&[*address], target.port);
            }
            TargetHost::Name(name) => name,
        };
        let key = (Arc::clone(name), target.port);
        if let Some(answer) = self.answers().get(&key)
            && Instant::now() < answer.until
        {
            return Ok(Arc::clone(&answer.addresses));
        }
        let found = self.names.look_up(name).await?;
        let addresses = self.judged(&found.addresses, target.port)?;
        let until = Instant::now() + found.lifetime.min(Self::BELIEVED_FOR);
        self.answers().insert(key, Answer { addresses: Arc::clone(&addresses), until });
        Ok(addresses)
    }

    /// Forgets a target's addresses, none of which answered: the next attempt asks again.
    pub(super) fn forget(&self, target: &Target) {
        if let TargetHost::Name(name) = &target.host {
            self.answers().remove(&(Arc::clone(name), target.port));
        }
    }

    /// Forgets what is no longer believed.
    pub(super) fn reap(&self) {
        let now = Instant::now();
        self.answers().retain(|_, answer| now < answer.until);
    }

    fn judged(&self, addresses: &[IpAddr], port: u16) -> Result<Arc<[SocketAddr]>, SendError> {
        if addresses.is_empty() {
            return Err(NameError::NoAddress.into());
        }
        for address in addresses {
            self.policy.judge(*address)?;
        }
        Ok(addresses.iter().map(|address| SocketAddr::new(*address, port)).collect())
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<(Arc<str>, u16), Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance};

    use super::super::{AddressPolicy, Target, TargetError};
    use super::{Resolver, SendError};

    fn resolver(allowed: &[&str]) -> Resolver {
        let opened = allowed.iter().map(|network| network.parse().unwrap()).collect();
        Resolver::new(AddressPolicy::new(opened), Vec::new())
    }

    fn target(url: &str) -> Target {
        Target::parse(url, &AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap()])).unwrap()
    }

    #[tokio::test]
    async fn believes_an_answer_until_it_is_forgotten() {
        let resolver = resolver(&["127.0.0.0/8", "::1/128"]);
        let target = target("https://localhost:8443/");
        let first = resolver.resolve(&target).await.unwrap();
        assert!(first.iter().all(|address| address.port() == 8443));
        let second = resolver.resolve(&target).await.unwrap();
        assert!(std::sync::Arc::ptr_eq(&first, &second));
        resolver.reap();
        resolver.forget(&target);
        let third = resolver.resolve(&target).await.unwrap();
        assert!(!std::sync::Arc::ptr_eq(&first, &third));
        assert_eq!(first, third);
    }

    #[tokio::test(start_paused = true)]
    async fn believes_an_answer_for_five_seconds_and_then_forgets_it() {
        let resolver = resolver(&["127.0.0.0/8", "::1/128"]);
        let target = target("https://localhost:8443/");
        let first = resolver.resolve(&target).await.unwrap();
        let until = resolver.answers().values().next().unwrap().until;
        advance(until - Instant::now() - Duration::from_millis(1)).await;
        resolver.reap();
        assert!(std::sync::Arc::ptr_eq(&first, &resolver.resolve(&target).await.unwrap()));
        advance(Duration::from_millis(1)).await;
        assert!(!std::sync::Arc::ptr_eq(&first, &resolver.resolve(&target).await.unwrap()));
        advance(Resolver::BELIEVED_FOR).await;
        resolver.reap();
        assert!(resolver.answers().is_empty());
    }

    #[test]
    fn tells_its_policy() {
        let opened = resolver(&["127.0.0.0/8"]);
        assert!(opened.policy().allows("127.0.0.1".parse().unwrap()));
    }

    #[tokio::test]
    async fn judges_names_and_addresses_and_remembers_no_refusal() {
        let resolver = resolver(&[]);
        for url in ["https://localhost/", "https://127.0.0.1/"] {
            for _ in 0..2 {
                let refused = resolver.resolve(&target(url)).await;
                assert!(matches!(refused, Err(SendError::Refused(TargetError::RefusedAddress))), "{url}");
            }
        }
        assert!(resolver.answers().is_empty());
    }
}
