//! A DNS server on a free port that answers as it is told.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::UdpSocket;

/// What a question is answered with.
pub(crate) enum Says {
    /// These addresses, those of the type that was asked for, with this lifetime in seconds.
    Addresses(Vec<IpAddr>, u32),
    /// Another name for it.
    Alias(&'static str),
    NoSuchName,
    Failure,
    /// Bytes that are no answer.
    Rubbish,
    Nothing,
}

pub(crate) struct Dns {
    pub(crate) address: SocketAddr,
    /// Questions for IPv4 addresses.
    pub(crate) questions: Arc<AtomicUsize>,
}

impl Dns {
    /// One that answers a name's n-th question for IPv4 addresses (over all names, from 0), and the question for IPv6
    /// addresses that belongs to it, with `says(name, n)`.
    pub(crate) async fn start(says: impl Fn(&str, usize) -> Says + Send + 'static) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let questions = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&questions);
        tokio::spawn(async move {
            let (mut query, mut asked_v6) = ([0; 1_500], 0);
            while let Ok((length, peer)) = socket.recv_from(&mut query).await {
                let question = Question::read(&query[..length]);
                let n = match question.kind {
                    Question::A => counted.fetch_add(1, Ordering::SeqCst),
                    _ => {
                        asked_v6 += 1;
                        asked_v6 - 1
                    }
                };
                if let Some(answer) = question.answer(says(&question.name, n)) {
                    let _ = socket.send_to(&answer, peer).await;
                }
            }
        });
        Self { address, questions }
    }
}

struct Question {
    id: [u8; 2],
    name: String,
    kind: u16,
    /// Name, type and class as they came.
    bytes: Vec<u8>,
}

impl Question {
    const A: u16 = 1;
    const CNAME: u16 = 5;
    const AAAA: u16 = 28;

    fn read(query: &[u8]) -> Self {
        let (mut at, mut labels) = (12, Vec::new());
        while query[at] != 0 {
            let length = usize::from(query[at]);
            labels.push(String::from_utf8_lossy(&query[at + 1..=at + length]).to_lowercase());
            at += length + 1;
        }
        Self {
            id: [query[0], query[1]],
            name: labels.join("."),
            kind: u16::from_be_bytes([query[at + 1], query[at + 2]]),
            bytes: query[12..at + 5].to_vec(),
        }
    }

    fn answer(&self, says: Says) -> Option<Vec<u8>> {
        let (code, records) = match says {
            Says::Nothing => return None,
            Says::Rubbish => return Some(b"\xff\xff\xffnonsense".to_vec()),
            Says::NoSuchName => (3, Vec::new()),
            Says::Failure => (2, Vec::new()),
            Says::Alias(name) => (0, vec![record(Self::CNAME, 0, &labels(name))]),
            Says::Addresses(addresses, lifetime) => {
                let of = |address: &IpAddr| match (address, self.kind) {
                    (IpAddr::V4(address), Self::A) => Some(record(Self::A, lifetime, &address.octets())),
                    (IpAddr::V6(address), Self::AAAA) => {
                        Some(record(Self::AAAA, lifetime, &address.octets()))
                    }
                    _ => None,
                };
                (0, addresses.iter().filter_map(of).collect())
            }
        };
        let count = u8::try_from(records.len()).unwrap();
        let header = [self.id[0], self.id[1], 0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
        Some([&header[..], &self.bytes, &records.concat()].concat())
    }
}

/// A record of the name that was asked for.
fn record(kind: u16, lifetime: u32, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&[0xc0, 12], &kind.to_be_bytes()[..], &[0, 1], &lifetime.to_be_bytes(), &length.to_be_bytes(), bytes]
        .concat()
}

fn labels(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
