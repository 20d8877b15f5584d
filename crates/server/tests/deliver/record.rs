//! What an attempt leaves on record, against what really crossed the wire.

use agentflow_server::config::DeliveryConfig;
use agentflow_server::deliver::Deliver;
use agentflow_server::record::Attempt;

use crate::bad_receivers::server::{self, Ending, Opening};
use crate::dns::{Dns, Says};
use crate::receiver::Authority;
use crate::rig::{Rig, config};

const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nserver: caf\xe9\r\nset-cookie: session=1\r\ncontent-length: 5\r\n\r\nhi\xff\0!";

#[tokio::test]
async fn the_head_of_a_request_is_shown_byte_for_byte() {
    let authority = Authority::new();
    let opening = Opening::Tls(authority.acceptor("127.0.0.1"));
    let (address, seen) = server::start(opening, ANSWER.to_vec(), Ending::Answer).await;
    let rig = Rig::start_fresh(&config(&authority), &[0]).await;
    rig.send_to(&format!("https://{address}/a%20b/\u{fc}?key=1&x=%22#part")).await;
    for n in 0..3 {
        let due = rig.event().await.remove(0);
        let delivery = rig.after(due.id, 1).await;
        let event = rig.store.event(delivery.workspace_id, delivery.event_id).await.unwrap().unwrap();
        let shown = rig.deliver.request_head(&delivery.attempts[0], &event).unwrap();
        let sent = seen.requests.lock().unwrap()[n].clone();
        let body = sent.strip_prefix(shown.as_bytes()).unwrap_or_else(|| panic!("{shown}"));
        assert_eq!(body, due.body);
        assert!(shown.starts_with("POST /a%20b/%C3%BC?key=1&x=%22 HTTP/1.1\r\n"), "{shown}");
    }
}

#[tokio::test]
async fn a_kept_connection_has_neither_connect_nor_handshake() {
    let authority = Authority::new();
    let opening = Opening::Tls(authority.acceptor("127.0.0.1"));
    let (address, _) = server::start(opening, ANSWER.to_vec(), Ending::Answer).await;
    let rig = Rig::start_fresh(&config(&authority), &[0]).await;
    let destination = rig.destination(&format!("https://{address}/"));
    for reused in [false, true, true] {
        let attempt = rig.deliver.send_test(&destination, rig.sample()).await;
        let exchange = &attempt.exchange;
        assert_eq!((exchange.reused, exchange.remote), (reused, Some(address.ip())));
        let timings = exchange.timings;
        assert!(timings.resolve_ms.is_some() && timings.first_byte_ms.is_some());
        assert_eq!((timings.connect_ms.is_none(), timings.tls_ms.is_none()), (reused, reused));
        let parts = [timings.resolve_ms, timings.connect_ms, timings.tls_ms, timings.first_byte_ms];
        let sum: u32 = parts.into_iter().flatten().sum();
        // The clock of the whole and those of its parts are cut to milliseconds each for itself.
        assert!(sum <= attempt.duration_ms + 4, "{attempt:?}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_and_headers_that_are_secret_are_shown_safely() {
    let authority = Authority::new();
    let opening = Opening::Tls(authority.acceptor("127.0.0.1"));
    let (address, _) = server::start(opening, ANSWER.to_vec(), Ending::Answer).await;
    let rig = Rig::start_fresh(&config(&authority), &[0]).await;
    rig.send_to(&format!("https://{address}/")).await;
    let due = rig.event().await.remove(0);
    let attempt = rig.after(due.id, 1).await.attempts.remove(0);
    assert_eq!(
        attempt.exchange.response_headers.as_deref(),
        Some("server: caf\u{fffd}\nset-cookie: [left out]\ncontent-length: 5\n")
    );
    assert_eq!(attempt.response_head.as_deref(), Some("hi\u{fffd}\0!"));
    let shown = format!("{attempt:?}");
    assert!(!shown.contains("https://"), "a URL may be a credential: {shown}");
}

#[tokio::test]
async fn an_attempt_that_fails_tells_how_far_it_got() {
    let authority = Authority::new();
    let dns = Dns::start(|_, _| Says::NoSuchName).await;
    let config = DeliveryConfig { dns_servers: vec![dns.address], ..config(&authority) };
    let rig = Rig::start_fresh(&config, &[0]).await;
    let got = async |url: &str| {
        let attempt = rig.deliver.send_test(&rig.destination(url), rig.sample()).await;
        assert!(!sent(&rig.deliver, &attempt, &rig), "{attempt:?}");
        let timings = attempt.exchange.timings;
        let parts = [timings.resolve_ms, timings.connect_ms, timings.tls_ms, timings.first_byte_ms];
        let url = attempt.exchange.request.map(|request| request.url.to_string());
        (url, attempt.exchange.remote, parts.map(|part| part.is_some()))
    };
    let (closed, _) = server::start(Opening::Tcp, Vec::new(), Ending::Close).await;
    let url = format!("https://{closed}/");
    assert_eq!(got(&url).await, (Some(url), Some(closed.ip()), [true, true, true, false]));
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("https://{nobody}/");
    assert_eq!(got(&url).await, (Some(url), Some(nobody.ip()), [true, true, false, false]));
    let url = "https://nowhere.example/";
    assert_eq!(got(url).await, (Some(url.to_owned()), None, [true, false, false, false]));
    let (url, remote, _) = got("https://10.0.0.1/").await;
    assert_eq!((url, remote), (None, None));
}

fn sent(deliver: &Deliver, attempt: &Attempt, rig: &Rig) -> bool {
    deliver.request_head(attempt, &rig.sample()).is_some()
}

#[tokio::test]
async fn the_url_of_an_attempt_stays_when_the_destination_moves() {
    let authority = Authority::new();
    let opening = Opening::Tls(authority.acceptor("127.0.0.1"));
    let (address, _) = server::start(opening, ANSWER.to_vec(), Ending::Answer).await;
    let rig = Rig::start_fresh(&config(&authority), &[0]).await;
    let mut urls = Vec::new();
    for path in ["/a", "/b", "/a"] {
        let url = format!("https://{address}{path}");
        let id = rig.send_to(&url).await;
        let due = rig.event().await.into_iter().find(|due| due.destination_id == id).unwrap();
        let attempt = rig.after(due.id, 1).await.attempts.remove(0);
        urls.push((url, attempt.exchange.request.unwrap().url.to_string()));
    }
    assert!(urls.iter().all(|(given, kept)| given == kept), "{urls:?}");
}
