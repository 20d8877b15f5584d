//! Receivers that misbehave in every way that we could think of, each with the outcome that is pinned: a clear error in the
//! record, the wait that follows, an end within the deadline, and bounded memory.

pub(crate) mod server;
mod table;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use agentflow_server::config::DeliveryConfig;
use agentflow_server::id::DestinationId;
use agentflow_server::record::{Delivery, DeliveryState, DisabledReason};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use server::{Ending, Opening, Seen};
use table::{Case, Speech, Wrong};

use crate::dns::{Dns, Says};
use crate::receiver::{Authority, Receiver};
use crate::rig::Rig;

/// What follows from the first attempt, where the schedule has a hundred seconds next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Success,
    /// Tried again after so many seconds, from and to.
    Later(u64, u64),
    /// A dead letter, and the destination is disabled.
    Gone,
}

const SCHEDULE: &[u32] = &[0, 100];

/// The deadline of the attempts that run into it, in milliseconds, unless `AGENTFLOW_SLOW_MS` says otherwise; the server's
/// own is ten seconds.
const SLOW_MS: u64 = 1_500;

/// What the system's buffers and ours may take of a flood, with room to spare; a flood goes on until its receiver is cut off.
const FLOOD_BYTES_MAX: usize = 16 * 1024 * 1024;

impl Speech {
    fn opening(self, authority: &Authority) -> Opening {
        const NAME: &str = "127.0.0.1";
        match self {
            Speech::Tcp => Opening::Tcp,
            Speech::Deaf => Opening::Deaf,
            Speech::Tls => Opening::Tls(authority.acceptor(NAME)),
            Speech::ClientCertificate => Opening::Tls(authority.acceptor_for_clients(NAME)),
            Speech::Protocols(names) => Opening::Tls(authority.acceptor_of(NAME, names)),
            Speech::Certificate(Wrong::OtherName) => Opening::Tls(authority.acceptor("example.com")),
            Speech::Certificate(Wrong::Stranger) => Opening::Tls(Authority::new().acceptor(NAME)),
            Speech::Certificate(Wrong::SelfSigned) => Opening::Tls(Authority::self_signed(NAME)),
            Speech::Certificate(wrong @ (Wrong::Expired | Wrong::NotYetValid)) => {
                let mut params = CertificateParams::new([NAME.to_owned()]).unwrap();
                let years = if wrong == Wrong::Expired { (2000, 2001) } else { (4000, 4001) };
                params.not_before = date_time_ymd(years.0, 1, 1);
                params.not_after = date_time_ymd(years.1, 1, 1);
                Opening::Tls(authority.acceptor_with(params, &KeyPair::generate().unwrap()))
            }
        }
    }
}

/// What is wrong about a delivery's only attempt at a receiver; nothing where it came out as pinned.
fn wrong(case: &Case, delivery: &Delivery, deadline: Duration) -> Vec<String> {
    let [attempt] = &delivery.attempts[..] else { return vec![format!("not one attempt: {delivery:?}")] };
    let mut wrong = Vec::new();
    let mut must = |holds: bool, what: &str| {
        if !holds {
            wrong.push(format!("{}: {what}: {attempt:?} {:?}", case.name, delivery.state));
        }
    };
    must(attempt.status == case.status, "status");
    let (code, words) = case.error;
    let error = attempt.error.as_deref().unwrap_or_default();
    must(error.split_once(": ").map_or(error, |(code, _)| code) == code && error.contains(words), "error");
    must(error.is_empty() || error.ends_with('.') && error.len() < 400, "sentence");
    let took = Duration::from_millis(attempt.duration_ms.into());
    // Not without end; how much later than it should be is the machine's load.
    must(took <= deadline + Duration::from_secs(30), "deadline");
    must(attempt.response_head.as_ref().is_none_or(|head| head.len() <= 4_096), "body kept");
    let headers = attempt.exchange.response_headers.as_ref();
    must(headers.is_none_or(|headers| headers.len() <= 4_100), "headers kept");
    must(headers.is_some() == case.status.is_some(), "headers");
    match case.expected {
        Expected::Success => must(delivery.state == DeliveryState::Delivered, "state"),
        Expected::Gone => must(delivery.state == DeliveryState::Dead, "state"),
        Expected::Later(from, to) => {
            let wait = delivery.next_attempt_at.map(|at| at.since(attempt.at.plus(took)).as_secs());
            must(delivery.state == DeliveryState::Pending, "state");
            must(wait.is_some_and(|wait| (from.saturating_sub(1)..=to).contains(&wait)), "wait");
        }
    }
    wrong
}

/// Sends one event to every case of one deadline and checks what comes of each.
async fn run(authority: &Authority, cases: Vec<Case>, deadline: Duration) {
    let elsewhere = Receiver::start(authority, "127.0.0.1", |_| (200, None)).await;
    let config = DeliveryConfig {
        attempt_timeout_ms: u64::try_from(deadline.as_millis()).unwrap(),
        ..crate::rig::config(authority)
    };
    let rig = Rig::start_fresh(&config, SCHEDULE).await;
    let mut running: Vec<(Case, DestinationId, Arc<Seen>)> = Vec::new();
    for case in cases {
        let in_an_hour = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3_600));
        let says = replaced(&case.says, "{elsewhere}", &elsewhere.address.to_string());
        let says = replaced(&says, "{in an hour}", &in_an_hour);
        let (address, seen) = server::start(case.speech.opening(authority), says, case.ending).await;
        running.push((case, rig.send_to(&format!("https://{address}/hook")).await, seen));
    }
    let due = rig.event().await;
    assert_eq!(due.len(), running.len());
    let mut found = Vec::new();
    for (case, destination, seen) in running {
        let delivery = due.iter().find(|due| due.destination_id == destination).unwrap();
        let delivery = rig.after(delivery.id, 1).await;
        found.extend(wrong(&case, &delivery, deadline));
        assert_eq!(seen.connections.load(Ordering::SeqCst), 1, "{}", case.name);
        if matches!(case.ending, Ending::Flood(_) | Ending::Trickle(_)) {
            // Cut off: a connection that stayed open would be read, or hold memory, for ever.
            while seen.ended.load(Ordering::SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
        }
        let bytes = seen.bytes.load(Ordering::SeqCst);
        assert!(bytes < FLOOD_BYTES_MAX, "{}: {bytes} bytes", case.name);
        let all = rig.store.all_destinations().await.unwrap();
        let known = all.iter().find(|known| known.id == destination).unwrap();
        let reason = (case.expected == Expected::Gone).then_some(DisabledReason::Gone);
        assert_eq!((known.enabled, known.disabled_reason), (reason.is_none(), reason), "{}", case.name);
    }
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(elsewhere.connections.load(Ordering::SeqCst), 0, "a redirect was followed");
}

fn replaced(bytes: &[u8], what: &str, by: &str) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.replace(what, by).into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_receiver_has_its_outcome() {
    let authority = Authority::new();
    let (slow, prompt): (Vec<Case>, Vec<Case>) = table::all().into_iter().partition(|case| case.slow);
    assert!(slow.len() + prompt.len() >= 40);
    println!("{} receivers, {} of them slow", slow.len() + prompt.len(), slow.len());
    let slow_ms = std::env::var("AGENTFLOW_SLOW_MS").map_or(SLOW_MS, |text| text.parse().unwrap());
    tokio::join!(
        run(&authority, slow, Duration::from_millis(slow_ms)),
        run(&authority, prompt, Duration::from_millis(DeliveryConfig::default().attempt_timeout_ms)),
    );
}

#[test]
fn an_attempt_has_ten_seconds() {
    assert_eq!(DeliveryConfig::default().attempt_timeout_ms, 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_name_has_its_outcome() {
    let authority = Authority::new();
    let dns = Dns::start(|name, _| match name {
        "no-such-name.example" => Says::NoSuchName,
        "failure.example" => Says::Failure,
        "empty.example" => Says::Addresses(Vec::new(), 0),
        "loop.example" => Says::Alias("loop.example"),
        "private.example" => Says::Addresses(vec![[10, 0, 0, 1].into()], 0),
        "metadata.example" => Says::Addresses(vec![[169, 254, 169, 254].into()], 0),
        "mixed.example" => Says::Addresses(vec![[127, 0, 0, 1].into(), [192, 168, 0, 1].into()], 0),
        "mapped.example" => Says::Addresses(vec!["::ffff:127.0.0.1".parse().unwrap()], 0),
        "rubbish.example" => Says::Rubbish,
        _ => Says::Nothing,
    })
    .await;
    let config = DeliveryConfig {
        attempt_timeout_ms: SLOW_MS,
        dns_servers: vec![dns.address],
        ..crate::rig::config(&authority)
    };
    let rig = Rig::start_fresh(&config, SCHEDULE).await;
    let cases = [
        ("no-such-name.example", "dns_failed", "no such name"),
        ("failure.example", "dns_failed", "cannot tell"),
        ("empty.example", "dns_failed", "no address"),
        ("loop.example", "dns_failed", ""),
        ("private.example", "refused_target", "not on the public Internet"),
        ("metadata.example", "refused_target", "not on the public Internet"),
        ("mixed.example", "refused_target", "not on the public Internet"),
        ("mapped.example", "refused_target", "not on the public Internet"),
        ("rubbish.example", "timeout", "the host's name was looked up"),
        ("silent.example", "timeout", "the host's name was looked up"),
    ];
    let mut destinations = Vec::new();
    for (name, _, _) in cases {
        destinations.push(rig.send_to(&format!("https://{name}/")).await);
    }
    let due = rig.event().await;
    for (destination, (name, code, words)) in destinations.into_iter().zip(cases) {
        let delivery = due.iter().find(|due| due.destination_id == destination).unwrap();
        let delivery = rig.after(delivery.id, 1).await;
        let error = delivery.attempts[0].error.as_deref().unwrap();
        assert!(error.starts_with(&format!("{code}: ")) && error.contains(words), "{name}: {error}");
        assert_eq!(delivery.state, DeliveryState::Pending, "{name}");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_answers_no_later_request() {
    let authority = Authority::new();
    let twice = b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
    let opening = Opening::Tls(authority.acceptor("127.0.0.1"));
    let (address, _) = server::start(opening, twice.to_vec(), Ending::Answer).await;
    let rig = Rig::start_fresh(&crate::rig::config(&authority), SCHEDULE).await;
    let destination = rig.destination(&format!("https://{address}/"));
    for _ in 0..200 {
        assert_eq!(rig.deliver.send_test(&destination, rig.sample()).await.status, Some(500));
    }
}

#[tokio::test]
async fn a_backlog_that_is_full_ends_with_the_deadline() {
    let authority = Authority::new();
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // Nobody accepts, and others wait already.
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let others: Vec<_> = (0..8).map(|_| tokio::spawn(tokio::net::TcpStream::connect(address))).collect();
    tokio::task::yield_now().await;
    let config = DeliveryConfig { attempt_timeout_ms: 300, ..crate::rig::config(&authority) };
    let rig = Rig::start_fresh(&config, SCHEDULE).await;
    let destination = rig.destination(&format!("https://{address}/"));
    crate::failed(&rig.deliver.send_test(&destination, rig.sample()).await, None, "timeout");
    others.iter().for_each(tokio::task::JoinHandle::abort);
}
