//! Names that resolve to whatever their owner likes, from one moment to the next.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agentflow_server::config::DeliveryConfig;
use tokio::net::TcpListener;

use crate::dns::{Dns, Says};
use crate::failed;
use crate::receiver::{Authority, Receiver};
use crate::rig::Rig;

const ALLOWED: [u8; 4] = [127, 0, 0, 1];
const CANARY: [u8; 4] = [127, 0, 0, 2];

/// To one address of this machine alone, resolved by this DNS server.
fn config(authority: &Authority, dns: &Dns) -> DeliveryConfig {
    DeliveryConfig {
        allow_networks: vec!["127.0.0.1/32".parse().unwrap()],
        dns_servers: vec![dns.address],
        ..crate::rig::config(authority)
    }
}

/// Counts who comes to the receiver's port at the address beside it.
async fn canary(port: u16) -> Arc<AtomicUsize> {
    let listener = TcpListener::bind((IpAddr::from(CANARY), port)).await.unwrap();
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&visits);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    visits
}

fn addresses(of: &[[u8; 4]]) -> Says {
    Says::Addresses(of.iter().map(|octets| IpAddr::from(*octets)).collect(), 0)
}

/// Answers that no attempt may follow: the canary alone, beside a good address, before one, and as an IPv4-mapped address.
fn bad(n: usize) -> Says {
    match n % 4 {
        0 => addresses(&[CANARY]),
        1 => addresses(&[ALLOWED, CANARY]),
        2 => addresses(&[CANARY, ALLOWED]),
        _ => Says::Addresses(vec![ALLOWED.into(), "::ffff:127.0.0.2".parse().unwrap()], 0),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_flips_ten_thousand_times_never_leads_to_the_canary() {
    const FLIPS: usize = 10_000;
    let authority = Authority::new();
    let receiver = Receiver::start(&authority, "rebind.example", |_| (204, None)).await;
    let visits = canary(receiver.address.port()).await;
    // Good at every even question, bad at every odd one: whoever asks once to judge and once more to dial is led astray.
    let dns = Dns::start(|_, n| if n % 2 == 0 { addresses(&[ALLOWED]) } else { bad(n / 2) }).await;
    let rig = Rig::start_fresh(&config(&authority, &dns), &[0]).await;
    let destination = rig.destination(&format!("https://rebind.example:{}/", receiver.address.port()));
    let event = rig.sample();
    for n in 0..FLIPS {
        let attempt = rig.deliver.send_test(&destination, event.clone()).await;
        if n % 2 == 0 {
            assert_eq!(
                (attempt.status, attempt.exchange.remote),
                (Some(204), Some(ALLOWED.into())),
                "{attempt:?}"
            );
        } else {
            failed(&attempt, None, "refused_target");
            assert_eq!(attempt.exchange.remote, None);
        }
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);
    assert_eq!(dns.questions.load(Ordering::SeqCst), FLIPS, "one question an attempt");
    assert_eq!(
        receiver.connections.load(Ordering::SeqCst),
        1,
        "what was kept is used, and only where the name leads there"
    );
}

#[tokio::test]
async fn a_destination_whose_name_leads_to_a_refused_address_is_not_taken() {
    let authority = Authority::new();
    let dns = Dns::start(|name, n| match name {
        "good.example" => addresses(&[ALLOWED]),
        "bad.example" => bad(n),
        "alias.example" => Says::Alias("bad.example"),
        _ => Says::NoSuchName,
    })
    .await;
    let rig = Rig::start_fresh(&config(&authority, &dns), &[0]).await;
    let check = async |url: &str| rig.deliver.check_url(url).await.map_err(|error| error.code());
    for _ in 0..4 {
        assert_eq!(check("https://bad.example/").await, Err("refused_target"));
    }
    assert_eq!(check("https://good.example/").await, Ok(()));
    assert_eq!(check("https://alias.example/").await, Err("refused_target"));
    assert_eq!(check("https://not-yet.example/").await, Ok(()));
}

#[tokio::test]
async fn an_answer_is_believed_as_long_as_it_says_itself_and_then_asked_for_again() {
    let authority = Authority::new();
    let receiver = Receiver::start(&authority, "hooks.example", |_| (204, None)).await;
    let lasting = Dns::start(|_, _| Says::Addresses(vec![ALLOWED.into()], 60)).await;
    let rig = Rig::start_fresh(&config(&authority, &lasting), &[0]).await;
    let destination = rig.destination(&format!("https://hooks.example:{}/", receiver.address.port()));
    for _ in 0..3 {
        assert_eq!(rig.deliver.send_test(&destination, rig.sample()).await.status, Some(204));
    }
    assert_eq!(lasting.questions.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_hosts_file_comes_before_every_dns_server() {
    let authority = Authority::new();
    let receiver = Receiver::start(&authority, "localhost", |_| (204, None)).await;
    let dns = Dns::start(|_, _| addresses(&[CANARY])).await;
    let config = DeliveryConfig {
        allow_networks: vec!["127.0.0.1/32".parse().unwrap(), "::1/128".parse().unwrap()],
        ..config(&authority, &dns)
    };
    let rig = Rig::start_fresh(&config, &[0]).await;
    let destination = rig.destination(&format!("https://localhost:{}/", receiver.address.port()));
    assert_eq!(rig.deliver.send_test(&destination, rig.sample()).await.status, Some(204));
    assert_eq!(dns.questions.load(Ordering::SeqCst), 0);
}
