//! Without an async runtime, and by mistake within one.

use agentflow_client::blocking::Client;
use agentflow_client::{Error, InboundSecret, Lead, Prepared};
use tokio::runtime::Runtime;

use crate::rig::Rig;

fn client(rig: &Rig) -> Client {
    let secret = InboundSecret::new(rig.secret.as_str()).unwrap();
    Client::builder(&rig.url, secret).only_ca(rig.certificate.as_slice()).build_blocking().unwrap()
}

fn lead(number: u32) -> Lead {
    Lead::new("Jordan Ellis", format!("jordan.{number}@stacklane.co"))
}

#[test]
fn leads_are_sent_one_after_the_other_and_from_several_threads() {
    let runtime = Runtime::new().unwrap();
    let rig = runtime.block_on(Rig::start());
    let client = client(&rig);
    let first = client.send(&lead(0)).unwrap();
    let again = client.send_bytes(lead(0).to_json()).unwrap();
    assert_eq!((first.duplicate, again.duplicate, again.lead_id), (false, true, first.lead_id));

    std::thread::scope(|scope| {
        let sends: Vec<_> = (1..5)
            .map(|number| {
                let client = &client;
                scope.spawn(move || client.send(&lead(number)))
            })
            .collect();
        assert!(sends.into_iter().all(|send| !send.join().unwrap().unwrap().duplicate));
    });
    runtime.block_on(rig.stop());
}

#[test]
fn inside_a_runtime_it_refuses_and_does_not_panic() {
    let runtime = Runtime::new().unwrap();
    let secret = InboundSecret::new("whsec_test").unwrap();
    let url = "https://leads.example/v1/inbound/TOKEN";
    let client = Client::new(url, secret.clone()).unwrap();
    let prepared = Prepared::new(&lead(0)).unwrap();
    runtime.block_on(async {
        assert_eq!(client.send_prepared(&prepared).unwrap_err(), Error::InsideRuntime);
        assert_eq!(Client::new(url, secret).unwrap_err(), Error::InsideRuntime);
        // Nor does dropping it there.
        drop(client);
    });
}
