//! Sign-ins: opened, used, ended.

use agentflow_events::{Moment, OperatorId};

use super::Harness;
use super::world::{HOUR, Outcome, World, after};
use crate::id::{mint, random};
use crate::record::{OperatorChange, Role, Session};
use crate::store::{AccountChanged, Proven, StoreError};

/// Seconds after which an unused session ends, in these cases.
const IDLE: u64 = HOUR / 2;

fn session(world: &World, of: OperatorId, at: u64) -> Session {
    Session {
        id: mint(after(at)),
        workspace_id: world.id(),
        operator_id: of,
        token_hash: random(),
        created_at: after(at),
        seen_at: after(at),
        remote_addr: "203.0.113.9".to_owned(),
        user_agent: "Mozilla/5.0 (“nightly”)".to_owned(),
    }
}

fn proven(hash: &str) -> Proven {
    Proven { password_hash: hash.to_owned(), by_code: false }
}

/// Opens a session of whoever has this password hash; nothing that is there is past its end then.
async fn open(world: &World, session: &Session, hash: &str) -> Result<bool, StoreError> {
    let audit = world.audit("session.open", session.created_at);
    let never = Moment::from_unix_millis(0);
    world.store.open_session(session.clone(), proven(hash), never, never, audit).await
}

async fn opened_with(world: &World, hash: &str, at: u64) -> Result<Session, StoreError> {
    let session = session(world, world.founding.admin.id, at);
    assert!(open(world, &session, hash).await?);
    Ok(session)
}

async fn opened(world: &World, at: u64) -> Result<Session, StoreError> {
    opened_with(world, &world.founding.admin.password_hash, at).await
}

async fn is_there(world: &World, session: &Session) -> Result<bool, StoreError> {
    Ok(world.store.session(session.token_hash).await?.is_some())
}

async fn set_password(world: &World, hash: &str, at: u64) -> Result<AccountChanged, StoreError> {
    let change = OperatorChange { password_hash: Some(hash.to_owned()), ..OperatorChange::default() };
    let audit = world.audit("operator.change", after(at));
    world.store.change_operator(world.founding.admin.id, change, audit).await
}

pub async fn an_opened_session_comes_back_with_its_operator_as_they_are_now(
    harness: &dyn Harness,
) -> Outcome {
    let world = World::open(harness).await?;
    let admin = &world.founding.admin;
    let (first, second) = (opened(&world, 10).await?, opened(&world, 20).await?);
    let (found, who) = world.store.session(first.token_hash).await?.expect("it was opened");
    assert_eq!(found, first);
    assert!(who == *admin);
    assert!(world.store.session(random()).await?.is_none());
    assert_eq!(world.store.sessions(admin.id).await?, [second, first.clone()], "the newest first");
    let rows = world.store.audit_rows(world.id(), 10).await?;
    assert!(rows.len() == 2 && rows.iter().all(|row| row.action == "session.open"));

    let change = OperatorChange { email: Some("new@stacklane.co".to_owned()), ..OperatorChange::default() };
    world.store.change_operator(admin.id, change, world.audit("operator.change", after(30))).await?;
    let world = world.reopened(harness).await;
    let (_, who) = world.store.session(first.token_hash).await?.expect("it outlives a restart");
    assert_eq!(who.email, "new@stacklane.co");
    assert_eq!(world.store.operators_by_email("NEW@stacklane.co").await?.len(), 1);
    Ok(())
}

pub async fn a_touched_session_was_seen_then_and_no_other(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let (first, second) = (opened(&world, 10).await?, opened(&world, 20).await?);
    world.store.touch_session(first.id, after(90)).await?;
    let (found, _) = world.store.session(first.token_hash).await?.expect("it is there");
    assert_eq!(found, Session { seen_at: after(90), ..first });
    let (found, _) = world.store.session(second.token_hash).await?.expect("it is there");
    assert_eq!(found, second);
    Ok(())
}

pub async fn a_sign_in_deletes_what_has_idled_and_what_is_too_old(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let admin = &world.founding.admin;
    let (idle, old, live) =
        (opened(&world, 5 * HOUR).await?, opened(&world, 10).await?, opened(&world, 6 * HOUR).await?);
    world.store.touch_session(old.id, after(12 * HOUR)).await?;
    world.store.touch_session(live.id, after(12 * HOUR)).await?;
    let now = 12 * HOUR + 11;
    let next = session(&world, admin.id, now);
    let (begun_before, seen_before) = (after(now - 12 * HOUR), after(now - IDLE));
    let audit = world.audit("session.open", after(now));
    let proven = proven(&admin.password_hash);
    assert!(world.store.open_session(next.clone(), proven, begun_before, seen_before, audit).await?);
    assert!(!is_there(&world, &idle).await?);
    assert!(!is_there(&world, &old).await?, "however busy");
    assert!(is_there(&world, &live).await? && is_there(&world, &next).await?);
    Ok(())
}

pub async fn a_person_ends_one_session_or_all_of_their_own(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    let (first, second, third) =
        (opened(&world, 10).await?, opened(&world, 20).await?, opened(&world, 30).await?);
    let (mine, theirs) = (world.founding.admin.id, neighbour.founding.admin.id);
    let audit = world.audit("session.close", after(40));
    let closed = world.store.close_sessions(theirs, Some(first.id), Some(audit.clone())).await?;
    assert_eq!(closed, 0, "not theirs");
    assert!(!world.store.audit_rows(world.id(), 10).await?.contains(&audit), "nothing ended");
    assert_eq!(world.store.close_sessions(mine, Some(first.id), Some(audit.clone())).await?, 1);
    assert_eq!(world.store.audit_rows(world.id(), 1).await?, [audit]);
    assert!(!is_there(&world, &first).await?);
    assert!(is_there(&world, &second).await? && is_there(&world, &third).await?);
    assert_eq!(world.store.close_sessions(mine, None, None).await?, 2);
    assert!(world.store.sessions(mine).await?.is_empty());
    Ok(())
}

pub async fn a_new_password_and_a_removal_end_every_session(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let session_before = opened(&world, 10).await?;
    assert_eq!(set_password(&world, "another hash", 20).await?, AccountChanged::Done);
    assert!(!is_there(&world, &session_before).await?);

    let mut ada = world.founding.admin.clone();
    (ada.id, ada.email, ada.role) = (mint(after(1)), "ada@stacklane.co".to_owned(), Role::Viewer);
    world.store.put_operator(ada.clone(), world.audit("operator.create", after(1))).await?;
    let hers = session(&world, ada.id, 30);
    assert!(open(&world, &hers, &ada.password_hash).await?);
    world.store.delete_operator(ada.id, world.audit("operator.delete", after(40))).await?;
    assert!(!is_there(&world, &hers).await?);
    Ok(())
}

pub async fn a_stale_password_opens_nothing(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let admin = world.founding.admin.clone();
    let idle = opened(&world, 0).await?;
    set_password(&world, "another hash", 10).await?;
    let at = 11;
    let stale = session(&world, admin.id, at);
    let rows = world.store.audit_rows(world.id(), 10).await?;
    assert!(!open(&world, &stale, &admin.password_hash).await?);
    let gone = session(&world, mint(after(1)), at);
    assert!(!open(&world, &gone, &admin.password_hash).await?, "nobody");
    let neighbour = world.neighbour().await?;
    assert!(
        !open(&neighbour, &session(&neighbour, admin.id, at), "another hash").await?,
        "another workspace"
    );
    assert!(!is_there(&world, &stale).await? && !is_there(&world, &idle).await?);
    assert_eq!(world.store.audit_rows(world.id(), 10).await?, rows, "nothing is told either");
    assert!(open(&world, &stale, "another hash").await?);
    Ok(())
}

pub async fn a_sign_in_that_races_a_new_password_leaves_no_session(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let admin = world.founding.admin.clone();
    let mut hash = admin.password_hash.clone();
    for turn in 0..20 {
        let (racing, next) = (session(&world, admin.id, turn), format!("hash {turn}"));
        let (opened, changed) = tokio::join!(open(&world, &racing, &hash), set_password(&world, &next, turn));
        opened?;
        assert_eq!(changed?, AccountChanged::Done);
        assert!(world.store.sessions(admin.id).await?.is_empty(), "turn {turn}");
        hash = next;
    }
    Ok(())
}

pub async fn a_password_is_put_in_place_of_the_one_that_was_given_alone(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let admin = world.founding.admin.clone();
    let replace = async |instead_of: &str, hash: &str| {
        let change = OperatorChange {
            password_hash: Some(hash.to_owned()),
            instead_of: Some(instead_of.to_owned()),
            ..OperatorChange::default()
        };
        world.store.change_operator(admin.id, change, world.audit("operator.change", after(5))).await
    };
    assert_eq!(replace(&admin.password_hash, "second").await?, AccountChanged::Done);
    let kept = opened_with(&world, "second", 6).await?;
    assert_eq!(replace(&admin.password_hash, "third").await?, AccountChanged::PasswordChanged);
    assert!(world.store.operator(admin.id).await?.is_some_and(|who| who.password_hash == "second"));
    assert!(is_there(&world, &kept).await?);
    Ok(())
}
