//! Without an async runtime, and inside another one.

use std::sync::Arc;

use agentflow_client::blocking::Client;
use agentflow_client::{InboundSecret, Lead};
use tokio::runtime::Runtime;
use tokio::task::spawn_blocking;

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
fn inside_another_runtime_it_is_made_used_and_dropped_on_threads_that_may_block() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let rig = Arc::new(Rig::start().await);
        let sends: Vec<_> = (0..3)
            .map(|number| {
                let rig = Arc::clone(&rig);
                spawn_blocking(move || client(&rig).send(&lead(number)).unwrap())
            })
            .collect();
        for send in sends {
            assert!(!send.await.unwrap().duplicate);
        }
        Arc::into_inner(rig).unwrap().stop().await;
    });
}

#[test]
fn in_a_task_it_holds_up_the_thread_and_does_not_panic() {
    let (runtime, servers) = (Runtime::new().unwrap(), Runtime::new().unwrap());
    let rig = servers.block_on(Rig::start());
    let accepted = runtime.block_on(async { client(&rig).send(&lead(0)).unwrap() });
    assert!(!accepted.duplicate);
    servers.block_on(rig.stop());
}
