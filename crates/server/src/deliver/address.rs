//! Which addresses an outbound request may reach: lists of what is allowed, so that a forgotten range stays closed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use ipnet::IpNet;

use super::TargetError;

/// Global unicast IPv4, first and last address of each range: all that the IANA special-purpose registry, multicast, the
/// reserved class E and 168.63.129.16 leave. The last is a public address by its number alone: within Azure it is the host's
/// own service, metadata among it.
const GLOBAL_V4: [(Ipv4Addr, Ipv4Addr); 17] = [
    (Ipv4Addr::new(1, 0, 0, 0), Ipv4Addr::new(9, 255, 255, 255)),
    (Ipv4Addr::new(11, 0, 0, 0), Ipv4Addr::new(100, 63, 255, 255)),
    (Ipv4Addr::new(100, 128, 0, 0), Ipv4Addr::new(126, 255, 255, 255)),
    (Ipv4Addr::new(128, 0, 0, 0), Ipv4Addr::new(168, 63, 129, 15)),
    (Ipv4Addr::new(168, 63, 129, 17), Ipv4Addr::new(169, 253, 255, 255)),
    (Ipv4Addr::new(169, 255, 0, 0), Ipv4Addr::new(172, 15, 255, 255)),
    (Ipv4Addr::new(172, 32, 0, 0), Ipv4Addr::new(191, 255, 255, 255)),
    (Ipv4Addr::new(192, 0, 1, 0), Ipv4Addr::new(192, 0, 1, 255)),
    (Ipv4Addr::new(192, 0, 3, 0), Ipv4Addr::new(192, 31, 195, 255)),
    (Ipv4Addr::new(192, 31, 197, 0), Ipv4Addr::new(192, 52, 192, 255)),
    (Ipv4Addr::new(192, 52, 194, 0), Ipv4Addr::new(192, 88, 98, 255)),
    (Ipv4Addr::new(192, 88, 100, 0), Ipv4Addr::new(192, 167, 255, 255)),
    (Ipv4Addr::new(192, 169, 0, 0), Ipv4Addr::new(192, 175, 47, 255)),
    (Ipv4Addr::new(192, 175, 49, 0), Ipv4Addr::new(198, 17, 255, 255)),
    (Ipv4Addr::new(198, 20, 0, 0), Ipv4Addr::new(198, 51, 99, 255)),
    (Ipv4Addr::new(198, 51, 101, 0), Ipv4Addr::new(203, 0, 112, 255)),
    (Ipv4Addr::new(203, 0, 114, 0), Ipv4Addr::new(223, 255, 255, 255)),
];

/// Global unicast IPv6: 2000::/3 without 2001::/23 (protocol assignments, Teredo among them), 2001:db8::/32 and 3fff::/20
/// (documentation), 2002::/16 (6to4), 2620:4f:8000::/48 (AS112), 3ffe::/16 (given back) and 2000::/16 (never given out).
/// IPv4-mapped addresses, NAT64, unique-local and link-local ones lie outside 2000::/3.
const GLOBAL_V6: [(Ipv6Addr, Ipv6Addr); 5] = [
    (Ipv6Addr::new(0x2001, 0x200, 0, 0, 0, 0, 0, 0), last(0x2001, 0xdb7, 0xffff)),
    (Ipv6Addr::new(0x2001, 0xdb9, 0, 0, 0, 0, 0, 0), last(0x2001, 0xffff, 0xffff)),
    (Ipv6Addr::new(0x2003, 0, 0, 0, 0, 0, 0, 0), last(0x2620, 0x4f, 0x7fff)),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8001, 0, 0, 0, 0, 0), last(0x3ffd, 0xffff, 0xffff)),
    (Ipv6Addr::new(0x3fff, 0x1000, 0, 0, 0, 0, 0, 0), last(0x3fff, 0xffff, 0xffff)),
];

const fn last(a: u16, b: u16, c: u16) -> Ipv6Addr {
    Ipv6Addr::new(a, b, c, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff)
}

/// Decides about addresses: global unicast that is not this machine's own, and whatever networks the operator opened.
#[derive(Clone)]
pub struct AddressPolicy {
    allow_networks: Vec<IpNet>,
    is_own: fn(IpAddr) -> bool,
}

impl AddressPolicy {
    /// Global unicast and these networks. An IPv4 network does not open the IPv4-mapped IPv6 addresses of its hosts. A
    /// public address of this machine is refused unless a network has it: what listens there may be closed to the Internet
    /// by a packet filter that does not look at the machine's own traffic.
    pub fn new(allow_networks: Vec<IpNet>) -> Self {
        Self { allow_networks, is_own: is_own_address }
    }

    /// Whether an outbound request may go there.
    ///
    /// # Errors
    /// [`TargetError::RefusedAddress`] and [`TargetError::OwnAddress`].
    pub fn judge(&self, address: IpAddr) -> Result<(), TargetError> {
        if self.allow_networks.iter().any(|network| network.contains(&address)) {
            return Ok(());
        }
        if !is_global_unicast(address) {
            return Err(TargetError::RefusedAddress);
        }
        if (self.is_own)(address) { Err(TargetError::OwnAddress) } else { Ok(()) }
    }

    /// Whether an outbound request may go there.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.judge(address).is_ok()
    }

    /// Every address: for reading a URL again that was judged before.
    pub(super) fn any() -> Self {
        Self::new(vec![
            IpNet::new_assert(Ipv4Addr::UNSPECIFIED.into(), 0),
            IpNet::new_assert(Ipv6Addr::UNSPECIFIED.into(), 0),
        ])
    }

    /// With other addresses as this machine's own.
    #[cfg(test)]
    pub(super) fn with_own(self, is_own: fn(IpAddr) -> bool) -> Self {
        Self { is_own, ..self }
    }
}

impl Default for AddressPolicy {
    /// Nothing is opened.
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl fmt::Debug for AddressPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressPolicy").field("allow_networks", &self.allow_networks).finish_non_exhaustive()
    }
}

/// Whether the address is on an interface of this machine: then, and only then, the system would send from it to it.
/// Connecting a datagram socket asks for the route and sends nothing, so the answer is of this moment and needs no list.
fn is_own_address(address: IpAddr) -> bool {
    let from: (IpAddr, u16) = match address {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), 0),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED.into(), 0),
    };
    // Any port will do; where there is no route, there is no way to this machine either.
    let source = UdpSocket::bind(from).and_then(|socket| {
        socket.connect((address, 443))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip() == address)
}

/// Whether the address is one host's on the public Internet.
fn is_global_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => GLOBAL_V4.iter().any(|(first, last)| (*first..=*last).contains(&address)),
        IpAddr::V6(address) => GLOBAL_V6.iter().any(|(first, last)| (*first..=*last).contains(&address)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use ipnet::IpNet;
    use proptest::prelude::*;

    use super::{AddressPolicy, is_global_unicast, is_own_address};
    use crate::deliver::TargetError;

    /// The IANA special-purpose registries, multicast, and what IANA has not given out: the other way round.
    const SPECIAL: &[&str] = &[
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/3",
        "2000::/16",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3ffe::/16",
        "3fff::/20",
        "4000::/2",
        "8000::/1",
    ];

    fn special() -> Vec<IpNet> {
        SPECIAL.iter().map(|network| network.parse().unwrap()).collect()
    }

    #[track_caller]
    fn check(address: &str, allowed: bool) {
        assert_eq!(AddressPolicy::default().allows(address.parse().unwrap()), allowed, "{address}");
    }

    #[test]
    fn the_ranges_end_where_the_special_networks_begin() {
        for network in special() {
            let neighbours = match network {
                IpNet::V4(network) => {
                    let (first, last) = (u32::from(network.network()), u32::from(network.broadcast()));
                    [first.checked_sub(1), last.checked_add(1)]
                        .map(|n| n.map(|n| IpAddr::from(Ipv4Addr::from(n))))
                }
                IpNet::V6(network) => {
                    let (first, last) = (u128::from(network.network()), u128::from(network.broadcast()));
                    [first.checked_sub(1), last.checked_add(1)]
                        .map(|n| n.map(|n| IpAddr::from(Ipv6Addr::from(n))))
                }
            };
            assert!(!is_global_unicast(network.network()), "{network}");
            assert!(!is_global_unicast(network.broadcast()), "{network}");
            for neighbour in neighbours.into_iter().flatten() {
                let expected = !special().iter().any(|network| network.contains(&neighbour));
                assert_eq!(is_global_unicast(neighbour), expected, "{neighbour} beside {network}");
            }
        }
    }

    #[test]
    fn allows_hosts_of_the_internet_and_nothing_that_leads_elsewhere() {
        for address in ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001::200e"]
        {
            check(address, true);
        }
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::8.8.8.8",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "2002:808:808::1",
            "2001:0:808:808::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "100::1",
            "5f00::1",
        ] {
            check(address, false);
        }
    }

    #[test]
    fn opens_only_the_networks_that_were_named() {
        let policy = AddressPolicy::new(vec!["127.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let allows = |address: &str| policy.allows(address.parse().unwrap());
        assert!(allows("127.0.0.1") && allows("127.255.0.1") && allows("fd00::1") && allows("8.8.8.8"));
        assert!(!allows("::ffff:127.0.0.1") && !allows("10.0.0.1") && !allows("::1") && !allows("fc00::1"));
    }

    #[test]
    fn an_own_address_is_refused_unless_its_network_is_opened() {
        let own = |address: IpAddr| {
            ["8.8.8.8", "2606:4700::1"].iter().any(|own| address == own.parse::<IpAddr>().unwrap())
        };
        let policy = AddressPolicy::default().with_own(own);
        let judged = |policy: &AddressPolicy, address: &str| policy.judge(address.parse().unwrap());
        assert_eq!(judged(&policy, "8.8.8.8"), Err(TargetError::OwnAddress));
        assert_eq!(judged(&policy, "2606:4700::1"), Err(TargetError::OwnAddress));
        assert_eq!(judged(&policy, "8.8.4.4"), Ok(()));
        assert_eq!(judged(&policy, "10.0.0.1"), Err(TargetError::RefusedAddress));
        let opened = AddressPolicy::new(vec!["8.8.8.8/32".parse().unwrap()]).with_own(own);
        assert_eq!(judged(&opened, "8.8.8.8"), Ok(()));
        assert_eq!(judged(&opened, "2606:4700::1"), Err(TargetError::OwnAddress));
    }

    #[test]
    fn the_system_knows_its_own_addresses() {
        assert!(is_own_address([127, 0, 0, 1].into()));
        // Whatever interface leads out of this machine; a machine without one has nothing to compare.
        let out = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        if out.connect("8.8.8.8:443").is_ok() {
            assert!(is_own_address(out.local_addr().unwrap().ip()));
        }
        assert!(!is_own_address("8.8.8.8".parse().unwrap()));
        assert!(!is_own_address("2606:4700:4700::1111".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn an_ipv4_address_is_allowed_where_no_special_network_has_it(bits: u32) {
            let address = IpAddr::from(Ipv4Addr::from(bits));
            prop_assert_eq!(is_global_unicast(address), !special().iter().any(|network| network.contains(&address)));
        }

        #[test]
        fn an_ipv6_address_is_allowed_where_no_special_network_has_it(
            head in prop_oneof![Just(0x2001_u16), Just(0x2620), Just(0x3ffe), Just(0x3fff), any::<u16>()], tail: u128,
        ) {
            let address = IpAddr::from(Ipv6Addr::from((u128::from(head) << 112) | (tail >> 16)));
            prop_assert_eq!(is_global_unicast(address), !special().iter().any(|network| network.contains(&address)));
        }
    }
}
