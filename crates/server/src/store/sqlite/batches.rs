//! What becomes of operations that are committed together.

use std::sync::Arc;

use agentflow_events::EventType;
use futures_util::future::{join, join_all};

use super::SqliteStore;
use super::faults::hold;
use crate::record::{
    Attempt, AttemptOutcome, DeliveryState, DueDelivery, Exchange, FinishedAttempt, LeadState,
};
use crate::store::suite::sent::Sent;
use crate::store::suite::world::{DAY, Expect, START, World, after};
use crate::store::{
    Accept, Accepted, Basis, Decided, DeliveryStore, IntakeStore, LeadFilter, PageRequest, Store, StoreError,
};

struct Batches {
    world: World,
    store: Arc<SqliteStore>,
    _folder: tempfile::TempDir,
}

async fn open() -> Batches {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(&folder.path().join("agentflow.db")).expect("a new store opens");
    let store = Arc::new(store);
    let world = World::in_store(Arc::clone(&store) as Arc<dyn Store>, Default::default()).await;
    let world = world.expect("writable");
    world.destination(EventType::ALL, START).await.expect("writable");
    Batches { world, store, _folder: folder }
}

impl Batches {
    /// Runs what is waited for in one batch, in the order in which it is polled first.
    async fn together<T>(&self, waited_for: impl Future<Output = T>) -> T {
        let (gate, held) = hold(&self.store).await;
        let (answers, ()) = join(waited_for, async {
            drop(gate);
            held.await.expect("no task panics");
        })
        .await;
        answers
    }

    async fn accept_together(&self, accepts: Vec<Accept>) -> Vec<Result<Accepted, StoreError>> {
        self.together(join_all(accepts.into_iter().map(|accept| self.store.accept(accept)))).await
    }
}

fn delivered(due: &DueDelivery) -> Arc<FinishedAttempt> {
    ended(due, AttemptOutcome::Delivered)
}

fn ended(due: &DueDelivery, outcome: AttemptOutcome) -> Arc<FinishedAttempt> {
    Arc::new(FinishedAttempt {
        delivery_id: due.id,
        workspace_id: due.workspace_id,
        destination_id: due.destination_id,
        attempt: Attempt {
            number: due.attempt_number,
            at: START,
            status: Some(204),
            duration_ms: 1,
            error: None,
            response_head: None,
            exchange: Exchange::default(),
        },
        outcome,
        disable_after: std::time::Duration::from_secs(5 * DAY),
    })
}

#[tokio::test]
async fn each_sees_what_those_before_it_have_written() {
    let batches = open().await;
    let world = &batches.world;
    let first = Sent::saying("a@stacklane.co", "One.").approved();
    let other_body = Sent::saying("a@stacklane.co", "Two.").approved();
    let keyed = Sent::saying("b@stacklane.co", "Three.").key("k-1");
    let key_again = Sent::saying("c@stacklane.co", "Four.").key("k-1");
    let accepts: Vec<Accept> =
        [&first, &first, &other_body, &keyed, &key_again].map(|sent| world.plan(sent, None)).into();
    let lead = accepts[0].write.lead.id;
    let answers: Vec<Accepted> =
        batches.accept_together(accepts).await.into_iter().map(|answer| answer.expect("writable")).collect();
    assert!(matches!(&answers[0], Accepted::Stored(due) if due.len() == 1), "{:?}", answers[0]);
    assert!(matches!(answers[1], Accepted::Duplicate(known) if known == lead), "{:?}", answers[1]);
    assert!(matches!(&answers[2], Accepted::Rebase(Some(found)) if found.id == lead), "{:?}", answers[2]);
    assert!(matches!(answers[3], Accepted::Stored(_)), "{:?}", answers[3]);
    assert!(matches!(answers[4], Accepted::KeyReused), "{:?}", answers[4]);
    let filter = LeadFilter::default();
    let page = PageRequest { cursor: None, limit: 9 };
    assert_eq!(world.store.leads(world.id(), &filter, page).await.expect("readable").items.len(), 2);
    assert_eq!(world.log_rows().await.expect("readable").len(), 3);
}

#[tokio::test]
async fn a_decision_among_them_is_seen_by_what_joins_its_lead() {
    let batches = open().await;
    let world = &batches.world;
    let (lead, _) = world.stored(&Sent::from("a@stacklane.co")).await.expect("writable");
    assert_eq!(lead.state, LeadState::InReview);
    let before = world.plan(&Sent::from("b@stacklane.co").approved(), None);
    let decision = world.judgement(&lead, true, after(2));
    let joins = world.plan(&Sent::saying("a@stacklane.co", "Again.").at(after(3)), Some(&lead));
    let (store, after_it) = (&batches.store, &batches.store);
    let ((before, decided), joined) = batches
        .together(join(join(store.accept(before), store.decide(decision)), after_it.accept(joins)))
        .await;
    before.expect("writable").due();
    assert!(matches!(decided.expect("writable"), Decided::Stored(_)));
    let joined = joined.expect("writable");
    assert!(
        matches!(&joined, Accepted::Rebase(Some(found)) if found.state == LeadState::Qualified),
        "{joined:?}"
    );
}

#[tokio::test]
async fn deliveries_of_a_batch_are_found_and_ended_each_by_its_own_row() {
    let batches = open().await;
    let world = &batches.world;
    let accepts = (0..40).map(|n| world.plan(&Sent::from(&format!("n{n}@stacklane.co")).approved(), None));
    let answers = batches.accept_together(accepts.collect()).await;
    let due: Vec<DueDelivery> =
        answers.into_iter().flat_map(|answer| answer.expect("writable").due()).collect();
    assert_eq!(due.len(), 40);
    // Every other one is finished, some of them twice in the same batch.
    let finished: Vec<_> = due.iter().step_by(2).chain(due.iter().step_by(8)).map(delivered).collect();
    let ended = finished.into_iter().map(|finished| batches.store.finish_attempt(finished));
    for answer in batches.together(join_all(ended)).await {
        answer.expect("recorded");
    }
    for (place, due) in due.iter().enumerate() {
        let seen = world.seen_delivery(due).await.expect("readable");
        let expected = if place % 2 == 0 { DeliveryState::Delivered } else { DeliveryState::Pending };
        assert_eq!((seen.state, seen.event_id, seen.lead_id), (expected, due.event_id, due.lead_id));
        assert_eq!(seen.attempts.len(), usize::from(place % 2 == 0));
        let event =
            world.store.event(world.id(), due.event_id).await.expect("readable").expect("it is there");
        assert_eq!((event.lead_id, &event.body), (due.lead_id, &due.body));
    }
    assert_eq!(batches.store.claims.lock().len(), 20);
}

#[tokio::test]
async fn one_whose_row_is_refused_fails_alone() {
    let batches = open().await;
    let world = &batches.world;
    let mut accepts: Vec<Accept> =
        (0..20).map(|n| world.plan(&Sent::from(&format!("n{n}@stacklane.co")).approved(), None)).collect();
    // An id that another has already: nothing says so before its row is written with all others.
    let id = accepts[3].write.event.as_ref().expect("approved").id;
    accepts[11].write.event.as_mut().expect("approved").id = id;
    assert_eq!(accepts[11].write.basis, Basis::NoLead);
    let answers = batches.accept_together(accepts).await;
    for (place, answer) in answers.iter().enumerate() {
        match (place, answer) {
            (11, Err(StoreError::Backend(why))) => assert!(why.contains("events.id"), "{why}"),
            (_, Ok(Accepted::Stored(due))) if place != 11 => assert_eq!(due.len(), 1),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(batches.store.claims.lock().len(), 19);
    assert_eq!(world.log_rows().await.expect("readable").len(), 19);
    let filter = LeadFilter::default();
    let page = PageRequest { cursor: None, limit: 30 };
    assert_eq!(world.store.leads(world.id(), &filter, page).await.expect("readable").items.len(), 19);
}

#[tokio::test]
async fn a_success_is_recorded_though_its_number_was_and_somebody_holds_the_next() {
    let batches = open().await;
    let (world, store) = (&batches.world, &batches.store);
    let (_, due) = world.stored(&Sent::from("a@stacklane.co").approved()).await.expect("writable");
    let first = &due[0];
    // Claimed twice: what was given back was on its way all the same.
    store.release(&[first.id]);
    let claim = async || world.claim(first.destination_id, after(2 * DAY), 9).await.expect("readable");
    assert_eq!(claim().await[0].attempt_number, 1);
    let retry = ended(first, AttemptOutcome::RetryAt(after(DAY)));
    store.finish_attempt(retry).await.expect("recorded");
    assert_eq!(claim().await[0].attempt_number, 2);
    store.finish_attempt(delivered(first)).await.expect("recorded in place of the first");
    let seen = world.seen_delivery(first).await.expect("readable");
    assert_eq!((seen.state, seen.attempts.len()), (DeliveryState::Delivered, 1));
}
