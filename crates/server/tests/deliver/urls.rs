//! The address policy over URLs as people, and attackers, spell them: a table with a verdict each, and generated URLs that an
//! independent judge looks at: Python's `urllib.parse` and `ipaddress`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::{Command, Stdio};

use agentflow_server::deliver::{AddressPolicy, Target, TargetError};
use ipnet::IpNet;

const TABLE: &str = include_str!("urls.tsv");

/// URLs that are generated unless `AGENTFLOW_URLS` says otherwise; `scripts/urls` generates a million.
const GENERATED: usize = 20_000;

/// What Python takes for global (in one of its versions, which differ) and we refuse, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    ("168.63.129.16/32", "public by its number; within Azure it is the host's own service"),
    ("192.0.0.0/24", "protocol assignments; PCP and TURN anycast in it are no receivers"),
    ("192.31.196.0/24", "AS112: a sink for queries about private addresses"),
    ("192.52.193.0/24", "automatic multicast tunnelling"),
    ("192.88.99.0/24", "6to4 relays, withdrawn"),
    ("192.175.48.0/24", "AS112"),
    ("224.0.0.0/4", "multicast, which no connection can be opened to"),
    ("::/3", "mapped, compatible, translated and NAT64 addresses, and what is not given out"),
    ("2000::/16", "never given out"),
    ("2001::/23", "protocol assignments: Teredo, ORCHID, AMT, AS112 and others"),
    ("2002::/16", "6to4: an IPv4 address of the sender's choice is in it"),
    ("2620:4f:8000::/48", "AS112"),
    ("3ffe::/16", "given back"),
    ("3fff::/20", "documentation since 2024"),
    ("4000::/2", "never given out, but 5f00::/16 for segment routing"),
    ("8000::/1", "never given out, local by definition, or multicast"),
];

const JUDGE: &str = r#"
import ipaddress, sys, urllib.parse
for line in sys.stdin:
    kind, _, rest = line.rstrip("\n").partition(" ")
    if kind == "refused":
        if ipaddress.ip_address(rest).is_global:
            print(kind, rest)
        continue
    url = urllib.parse.urlsplit(rest)
    bad = url.scheme != "https" or url.username is not None or url.password is not None or not url.hostname
    try:
        bad = bad or not ipaddress.ip_address(url.hostname).is_global
    except ValueError:
        pass
    if bad:
        print(kind, rest)
"#;

fn unescaped(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        if let Some(after) = after.strip_prefix('\\') {
            plain.push('\\');
            rest = after;
        } else {
            let (hex, after) = after.strip_prefix("u{").unwrap().split_once('}').unwrap();
            plain.push(char::from_u32(u32::from_str_radix(hex, 16).unwrap()).unwrap());
            rest = after;
        }
    }
    plain + rest
}

fn verdict(url: &str) -> String {
    match Target::parse(url, &AddressPolicy::default()) {
        Ok(target) => format!("ok\t{}", target.url()),
        Err(error) => error.code().to_owned(),
    }
}

fn table() -> impl Iterator<Item = (&'static str, String, String)> {
    TABLE.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut columns = line.split('\t');
        let (code, url) = (columns.next().unwrap(), unescaped(columns.next().unwrap()));
        let expected = match columns.next() {
            Some(wire) => format!("{code}\t{}", unescaped(wire)),
            None => code.to_owned(),
        };
        (line, url, expected)
    })
}

#[test]
fn every_url_of_the_table_gets_its_verdict() {
    let mut wrong = String::new();
    for (line, url, expected) in table() {
        let got = verdict(&url);
        if got != expected {
            writeln!(wrong, "{line}\n    is {got}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(table().count() >= 300);
}

/// A stream of numbers that is the same every time (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.roll(choices.len())]
    }

    fn address(&mut self) -> IpAddr {
        const V4: &[&str] = &[
            "127.0.0.1",
            "10.0.0.1",
            "169.254.169.254",
            "192.168.1.1",
            "172.16.0.1",
            "100.100.100.200",
            "8.8.8.8",
            "1.1.1.1",
            "168.63.129.16",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.2.1",
            "198.18.0.1",
        ];
        const V6: &[&str] = &[
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "3fff::1",
            "5f00::1",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "fd00:ec2::254",
        ];
        if self.roll(3) < 2 {
            let known = u32::from(self.of(V4).parse::<Ipv4Addr>().unwrap());
            let noise = (self.roll(1 << 16) << 16 | self.roll(1 << 16)) as u32;
            IpAddr::from(Ipv4Addr::from([known, known ^ (noise & 0xff), noise, noise][self.roll(4)]))
        } else {
            let known = u128::from(self.of(V6).parse::<Ipv6Addr>().unwrap());
            let noise = (0..8).fold(0, |noise, _| noise << 16 | self.roll(1 << 16) as u128);
            let public = noise >> 3 | 1 << 125;
            IpAddr::from(Ipv6Addr::from([known, known ^ (noise & 0xffff), public, noise][self.roll(4)]))
        }
    }

    /// One of the ways in which a browser reads this address.
    fn spelled(&mut self, address: IpAddr) -> String {
        match address {
            IpAddr::V4(address) => self.spelled_v4(address),
            IpAddr::V6(address) => {
                let segments = address.segments();
                let text = match self.roll(4) {
                    0 => address.to_string(),
                    1 => segments.map(|part| format!("{part:04x}")).join(":"),
                    2 => segments.map(|part| format!("{part:X}")).join(":"),
                    _ => {
                        let [.., a, b] = segments;
                        let tail = Ipv4Addr::from(u32::from(a) << 16 | u32::from(b));
                        format!(
                            "{}:{tail}",
                            segments[..6]
                                .iter()
                                .map(|part| format!("{part:x}"))
                                .collect::<Vec<_>>()
                                .join(":")
                        )
                    }
                };
                format!("[{text}]")
            }
        }
    }

    fn spelled_v4(&mut self, address: Ipv4Addr) -> String {
        let bits = u32::from(address);
        let count = self.roll(4) + 1;
        let last_bits = 8 * (5 - count as u32);
        let mut parts: Vec<u32> = (0..count as u32 - 1).map(|at| bits >> (24 - 8 * at) & 0xff).collect();
        parts.push(if last_bits == 32 { bits } else { bits & ((1 << last_bits) - 1) });
        let mut text = String::new();
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                text.push_str(self.of(&[".", ".", ".", "\u{3002}", "\u{ff0e}", "\u{ff61}", "%2e", "%2E"]));
            }
            let zeros = "0".repeat(self.roll(3));
            let digits = match self.roll(5) {
                0 => format!("0x{zeros}{part:x}"),
                1 => format!("0X{zeros}{part:X}"),
                2 => format!("0{zeros}{part:o}"),
                _ => part.to_string(),
            };
            for digit in digits.chars() {
                match self.roll(12) {
                    0 => write!(text, "%{:02x}", digit as u32).unwrap(),
                    1 => text.push(char::from_u32(digit as u32 + 0xfee0).unwrap()),
                    2 => write!(text, "{digit}\u{ad}").unwrap(),
                    _ => text.push(digit),
                }
            }
        }
        if self.roll(8) == 0 {
            text.push('.');
        }
        text
    }

    /// A URL for a host, and the verdict that all but its address brings about.
    fn url(&mut self, host: &str) -> (String, Option<TargetError>) {
        let scheme = self.of(&["https:", "https:", "https:", "HTTPS:", "hTTps:", "http:", "ftp:"]);
        let slashes = self.of(&["//", "//", "//", "/", "", "///", "\\\\", "/\\", "\\//"]);
        // Other schemes read fewer slashes, or have no host; they are refused before.
        let user = self.of(&["", "", "", "", "", "user@", ":@", "@", "a:b@", "example.com@", "8.8.8.8:443@"]);
        let port = self.of(&["", "", "", ":443", ":8443", ":0", ":25", ":022", ":"]);
        let path = self.of(&[
            "",
            "/",
            "/a",
            "/@8.8.8.8",
            "?@8.8.8.8",
            "#@8.8.8.8",
            "\\@8.8.8.8",
            "\\a",
            "/../x?y#z",
        ]);
        let refusal = if !scheme.eq_ignore_ascii_case("https:") {
            Some(TargetError::NotHttps)
        } else if !user.is_empty() {
            Some(TargetError::UserInfo)
        } else {
            match port {
                ":0" => Some(TargetError::PortZero),
                ":25" | ":022" => Some(TargetError::RefusedPort),
                _ => None,
            }
        };
        (format!("{scheme}{slashes}{user}{host}{port}{path}"), refusal)
    }

    /// A URL with a few characters changed.
    fn mangled(&mut self, url: &str) -> String {
        const ODD: &[char] = &[
            '/', '\\', '@', ':', '?', '#', '[', ']', '%', '.', '0', '1', 'x', 'a', '-', '_', '\t', '\n',
            '\0', ' ', '\u{ff0e}', '\u{3002}', '\u{ad}', '\u{ff11}', '\u{200d}', '\u{202e}', '\u{df}',
            '\u{130}', '\u{2100}',
        ];
        let mut text: Vec<char> = url.chars().collect();
        for _ in 0..=self.roll(3) {
            let at = self.roll(text.len() + 1);
            match self.roll(3) {
                0 if at < text.len() => drop(text.remove(at)),
                1 if at < text.len() => text[at] = ODD[self.roll(ODD.len())],
                _ => text.insert(at, ODD[self.roll(ODD.len())]),
            }
        }
        text.into_iter().collect()
    }
}

/// What a reader of an accepted URL must find, however it came about.
#[track_caller]
fn check_accepted(url: &str, target: &Target) {
    let policy = AddressPolicy::default();
    assert!(target.address().is_none_or(|address| policy.allows(address)), "{url:?}");
    let again = Target::parse(&target.url(), &policy).unwrap();
    assert_eq!((again.url(), again.address()), (target.url(), target.address()), "{url:?}");
    assert!(target.url().bytes().all(|byte| byte.is_ascii_graphic()), "{url:?}");
}

#[test]
fn generated_urls_lead_to_no_address_that_another_judge_holds_for_special() {
    let count = std::env::var("AGENTFLOW_URLS").map_or(GENERATED, |text| text.parse().unwrap());
    let seeds: Vec<String> = table().map(|(_, url, _)| url).collect();
    let policy = AddressPolicy::default();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut lines = String::new();
    let (mut accepted, mut refused) = (0_usize, 0_usize);
    for _ in 0..count {
        if dice.roll(3) == 0 {
            let seed = dice.roll(seeds.len());
            let url = dice.mangled(&seeds[seed]);
            if let Ok(target) = Target::parse(&url, &policy) {
                check_accepted(&url, &target);
                accepted += 1;
                writeln!(lines, "accepted {}", target.url()).unwrap();
            }
            continue;
        }
        let address = dice.address();
        let host = dice.spelled(address);
        let (url, refusal) = dice.url(&host);
        let expected = refusal.map_or_else(|| policy.judge(address), Err);
        match (Target::parse(&url, &policy), expected) {
            (Ok(target), Ok(())) => {
                assert_eq!(target.address(), Some(address), "{url:?}");
                check_accepted(&url, &target);
                accepted += 1;
                writeln!(lines, "accepted {}", target.url()).unwrap();
            }
            // A URL of another scheme may have no host that a URL can have.
            (Err(TargetError::Malformed), Err(TargetError::NotHttps)) => (),
            (Err(got), Err(expected)) => {
                assert_eq!(got, expected, "{url:?}");
                if got == TargetError::RefusedAddress {
                    refused += 1;
                    writeln!(lines, "refused {address}").unwrap();
                }
            }
            (got, expected) => panic!("{url:?} with {address} is {got:?} and not {expected:?}"),
        }
    }
    assert!(accepted > count / 20 && refused > count / 20, "{accepted} accepted, {refused} refused");
    judge(&lines);
    println!("{count} URLs: {accepted} accepted, {refused} addresses refused");
}

/// Asks Python about all of them.
fn judge(lines: &str) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(lines.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let python = Command::new("python3").args(["-c", JUDGE]).stdin(Stdio::from(file)).output();
    let output = match python {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return eprintln!("no python3: no second opinion");
        }
        Err(error) => panic!("{error}"),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let known: Vec<IpNet> = DIFFERENCES.iter().map(|(network, _)| network.parse().unwrap()).collect();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let address = line.strip_prefix("refused ").unwrap_or_else(|| panic!("Python refuses {line}"));
        let address: IpAddr = address.parse().unwrap();
        assert!(known.iter().any(|network| network.contains(&address)), "Python holds {address} for global");
    }
}
