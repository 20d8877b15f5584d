//! How many connections are open, in all and from one sender.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whom limits by address count as one: an IPv4 address, or a /64 of IPv6, which is what one customer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sender(IpAddr);

impl From<IpAddr> for Sender {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        })
    }
}

/// Counts open connections.
pub(super) struct Slots {
    all_max: usize,
    sender_max: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_sender: HashMap<Sender, usize>,
}

impl Slots {
    pub(super) fn new(all_max: usize, sender_max: usize) -> Self {
        Self { all_max, sender_max, open: Mutex::default() }
    }

    /// Takes a place for one connection until the slot is dropped; nothing where none is left.
    pub(super) fn take(self: &Arc<Self>, sender: Sender) -> Option<Slot> {
        let mut open = self.lock();
        if open.all >= self.all_max {
            return None;
        }
        let of_sender = open.by_sender.entry(sender).or_default();
        if *of_sender >= self.sender_max {
            if *of_sender == 0 {
                open.by_sender.remove(&sender);
            }
            return None;
        }
        *of_sender += 1;
        open.all += 1;
        Some(Slot { slots: Arc::clone(self), sender })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one open connection.
pub(super) struct Slot {
    slots: Arc<Slots>,
    sender: Sender,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.slots.lock();
        open.all -= 1;
        if let Some(of_sender) = open.by_sender.get_mut(&self.sender) {
            *of_sender -= 1;
            if *of_sender == 0 {
                open.by_sender.remove(&self.sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Arc;

    use super::{Sender, Slots};

    fn sender(address: &str) -> Sender {
        Sender::from(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_sender_is_an_ipv4_address_or_a_64_of_ipv6() {
        assert_ne!(sender("192.0.2.1"), sender("192.0.2.2"));
        assert_eq!(sender("::ffff:192.0.2.1"), sender("192.0.2.1"));
        assert_eq!(sender("2001:db8:0:1::1"), sender("2001:db8:0:1:ffff::2"));
        assert_ne!(sender("2001:db8:0:1::1"), sender("2001:db8:0:2::1"));
    }

    #[test]
    fn places_are_limited_in_all_and_by_sender_and_come_back() {
        let slots = Arc::new(Slots::new(3, 2));
        let (a, b) = (sender("192.0.2.1"), sender("192.0.2.2"));
        let first = slots.take(a).unwrap();
        let second = slots.take(a).unwrap();
        assert!(slots.take(a).is_none(), "the sender has two");
        let third = slots.take(b).unwrap();
        assert!(slots.take(b).is_none(), "there are three");
        drop(first);
        let fourth = slots.take(a).unwrap();
        drop((second, third, fourth));
        assert!(slots.lock().by_sender.is_empty());
        assert_eq!(slots.lock().all, 0);
    }
}
