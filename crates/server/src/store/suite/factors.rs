//! Second factors: begun, confirmed, used, taken away.

use agentflow_events::OperatorId;

use super::Harness;
use super::world::{Outcome, World, after};
use crate::id::{SessionId, mint, random};
use crate::record::{FactorState, Role, SealedBytes, SecondFactor, Session};
use crate::store::{Proven, StoreError};

fn sealed(byte: u8) -> SealedBytes {
    SealedBytes(vec![byte; 64])
}

fn begun_in() -> SessionId {
    "ses_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f".parse().expect("an id")
}

async fn put(world: &World, of: OperatorId, secret: &SealedBytes) -> Result<bool, StoreError> {
    let audit = world.audit("second_factor.begin", after(1));
    world.store.put_factor(of, secret.clone(), begun_in(), audit).await
}

async fn activate(
    world: &World,
    secret: &SealedBytes,
    step: u64,
    hashes: &[[u8; 32]],
) -> Result<bool, StoreError> {
    let factor = SecondFactor {
        operator_id: world.founding.admin.id,
        secret: secret.clone(),
        begun_in: begun_in(),
        begun_at: after(1),
        is_active: false,
        recovery_codes: 0,
        wrong_codes: 0,
    };
    let audit = world.audit("second_factor.on", after(2));
    world.store.activate_factor(factor, step, hashes.to_vec(), mint(after(2)), audit).await
}

/// A world whose admin has an active factor, with step 100 used.
async fn with_factor(harness: &dyn Harness, hashes: &[[u8; 32]]) -> Result<World, StoreError> {
    let world = World::open(harness).await?;
    assert!(put(&world, world.founding.admin.id, &sealed(1)).await?);
    assert!(activate(&world, &sealed(1), 100, hashes).await?);
    Ok(world)
}

pub async fn a_factor_counts_once_it_is_confirmed(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let admin = world.founding.admin.id;
    assert!(world.store.factor(admin).await?.is_none());
    assert!(put(&world, admin, &sealed(1)).await?);
    assert!(put(&world, admin, &sealed(2)).await?, "begun anew");
    assert!(!world.store.use_step(admin, 7).await?, "not before it is active");
    assert!(world.store.operator(admin).await?.is_some_and(|who| !who.has_second_factor()));
    assert!(!activate(&world, &sealed(1), 7, &[]).await?, "another was begun since");
    assert!(activate(&world, &sealed(2), 7, &[random(), random()]).await?);
    assert!(!activate(&world, &sealed(2), 8, &[]).await?, "once");
    assert!(!put(&world, admin, &sealed(3)).await?, "an active one stays");
    let world = world.reopened(harness).await;
    let found = world.store.factor(admin).await?;
    let expected = SecondFactor {
        operator_id: admin,
        secret: sealed(2),
        begun_in: begun_in(),
        begun_at: after(1),
        is_active: true,
        recovery_codes: 2,
        wrong_codes: 0,
    };
    assert_eq!(found, Some(expected));
    assert!(world.store.operator(admin).await?.is_some_and(|who| who.has_second_factor()));
    let neighbour = world.neighbour().await?;
    assert!(!put(&world, neighbour.founding.admin.id, &sealed(4)).await?, "another workspace's");
    Ok(())
}

pub async fn a_code_is_used_once_and_none_before_it(harness: &dyn Harness) -> Outcome {
    let world = with_factor(harness, &[]).await?;
    let admin = world.founding.admin.id;
    for (step, is_fresh) in [(100, false), (99, false), (101, true), (101, false), (103, true), (102, false)]
    {
        assert_eq!(world.store.use_step(admin, step).await?, is_fresh, "{step}");
    }
    let (one, other) = tokio::join!(world.store.use_step(admin, 104), world.store.use_step(admin, 104));
    assert!(one? != other?, "of two at once one");
    Ok(())
}

pub async fn wrong_codes_in_a_row_lock_the_factor(harness: &dyn Harness) -> Outcome {
    let hashes: [[u8; 32]; 1] = [random()];
    let world = with_factor(harness, &hashes).await?;
    let admin = world.founding.admin.id;
    let wrong = async |times: u32| {
        for _ in 0..times {
            world.store.count_wrong_code(admin, world.audit("second_factor.lock", after(3))).await?;
        }
        Ok::<_, StoreError>(
            world.store.factor(admin).await?.map(|factor| (factor.wrong_codes, factor.is_locked())),
        )
    };
    let locks = async || {
        let rows = world.store.audit_rows(world.id(), 200).await?;
        Ok::<_, StoreError>(rows.iter().filter(|row| row.action == "second_factor.lock").count())
    };
    let most = SecondFactor::WRONG_CODES_MAX;
    assert_eq!(wrong(most - 1).await?, Some((most - 1, false)));
    assert!(world.store.use_step(admin, 101).await?);
    assert_eq!(wrong(most - 1).await?, Some((most - 1, false)), "a right one has those before it forgotten");
    assert_eq!(locks().await?, 0);
    let state = async || {
        let operator = world.store.operator(admin).await?;
        Ok::<_, StoreError>(operator.map(|operator| operator.second_factor))
    };
    assert_eq!(state().await?, Some(FactorState::On));
    assert_eq!(wrong(3).await?, Some((most, true)));
    assert_eq!(state().await?, Some(FactorState::Locked));
    assert_eq!(locks().await?, 1, "told once");
    assert!(!world.store.use_step(admin, 102).await?, "a right one does not count any more");
    let world = world.reopened(harness).await;
    assert!(!world.store.use_step(admin, 102).await?, "nor after a restart");
    let audit = world.audit("second_factor.recover", after(4));
    assert!(world.store.use_recovery_code(admin, hashes[0], audit).await?);
    assert!(world.store.use_step(admin, 102).await?, "unlocked by a recovery code");
    Ok(())
}

pub async fn a_recovery_code_is_used_once(harness: &dyn Harness) -> Outcome {
    let hashes: [[u8; 32]; 2] = [random(), random()];
    let world = with_factor(harness, &hashes).await?;
    let admin = world.founding.admin.id;
    let recover = async |hash| {
        world.store.use_recovery_code(admin, hash, world.audit("second_factor.recover", after(3))).await
    };
    assert!(!recover(random()).await?);
    assert!(recover(hashes[0]).await?);
    assert!(!recover(hashes[0]).await?);
    assert_eq!(world.store.factor(admin).await?.map(|factor| factor.recovery_codes), Some(1));
    let rows = world.store.audit_rows(world.id(), 10).await?;
    assert_eq!(rows.iter().filter(|row| row.action == "second_factor.recover").count(), 1);
    Ok(())
}

pub async fn a_factor_goes_with_its_codes_and_with_its_person(harness: &dyn Harness) -> Outcome {
    let hashes: [[u8; 32]; 1] = [random()];
    let world = with_factor(harness, &hashes).await?;
    let admin = world.founding.admin.id;
    let neighbour = world.neighbour().await?;
    assert!(!world.store.delete_factor(admin, neighbour.audit("second_factor.reset", after(3))).await?);
    assert!(world.store.delete_factor(admin, world.audit("second_factor.off", after(3))).await?);
    assert!(!world.store.delete_factor(admin, world.audit("second_factor.off", after(3))).await?);
    let recovered = world.store.use_recovery_code(admin, hashes[0], world.audit("x", after(4))).await?;
    assert!(!recovered && world.store.factor(admin).await?.is_none());

    let mut ada = world.founding.admin.clone();
    (ada.id, ada.email, ada.role) = (mint(after(1)), "ada@stacklane.co".to_owned(), Role::Viewer);
    world.store.put_operator(ada.clone(), world.audit("operator.create", after(1))).await?;
    assert!(put(&world, ada.id, &sealed(5)).await?);
    world.store.delete_operator(ada.id, world.audit("operator.delete", after(5))).await?;
    assert!(world.store.factor(ada.id).await?.is_none());
    Ok(())
}

pub async fn with_a_factor_no_session_opens_by_the_password_alone(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let admin = world.founding.admin.clone();
    let open = async |by_code| {
        let session = Session {
            id: mint(after(5)),
            workspace_id: world.id(),
            operator_id: admin.id,
            token_hash: random(),
            created_at: after(5),
            seen_at: after(5),
            remote_addr: "203.0.113.9".to_owned(),
            user_agent: String::new(),
        };
        let proven = Proven { password_hash: admin.password_hash.clone(), by_code };
        let (begun, audit) = (after(0), world.audit("session.open", after(5)));
        world.store.open_session(session, proven, begun, begun, audit).await
    };
    assert!(open(false).await?);
    assert!(put(&world, admin.id, &sealed(1)).await?);
    assert!(open(false).await?, "it is not confirmed yet");
    assert_eq!(world.store.sessions(admin.id).await?.len(), 2);
    assert!(activate(&world, &sealed(1), 1, &[]).await?);
    assert!(world.store.sessions(admin.id).await?.is_empty(), "all but the one that confirms it");
    assert!(!open(false).await?);
    assert!(open(true).await?);
    Ok(())
}
