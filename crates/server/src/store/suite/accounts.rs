//! People, tokens and invitations.

use super::Harness;
use super::world::{Outcome, START, World, after};
use crate::id::{mint, random};
use crate::record::{ApiToken, FactorState, Invitation, Operator, OperatorChange, Role};
use crate::store::AccountChanged;

fn person(world: &World, email: &str, role: Role) -> Operator {
    Operator {
        id: mint(after(1)),
        workspace_id: world.id(),
        email: email.to_owned(),
        password_hash: String::new(),
        role,
        created_at: after(1),
        invited_until: None,
        second_factor: FactorState::Off,
    }
}

fn token(world: &World, of: &Operator, role: Role) -> ApiToken {
    ApiToken {
        id: mint(after(2)),
        workspace_id: world.id(),
        operator_id: of.id,
        name: "deploys “nightly”".to_owned(),
        role,
        token_hash: random(),
        created_at: after(2),
        last_used_at: None,
    }
}

pub async fn tokens_come_back_as_they_were_put_until_they_are_deleted(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    let mine = token(&world, &world.founding.admin, Role::Viewer);
    world.store.put_token(mine.clone(), world.audit("token.create", after(2))).await?;
    assert!(world.store.tokens().await?.contains(&mine));

    world.store.note_uses(Vec::new(), vec![(mine.id, after(9)), (mine.id, after(5))]).await?;
    let known = world.store.tokens().await?.into_iter().find(|token| token.id == mine.id);
    assert_eq!(known.and_then(|token| token.last_used_at), Some(after(9)));

    assert!(!neighbour.store.delete_token(mine.id, neighbour.audit("not theirs", after(3))).await?);
    let audit = world.audit("token.delete", after(3));
    assert!(world.store.delete_token(mine.id, audit.clone()).await?);
    assert!(!world.store.delete_token(mine.id, world.audit("again", after(4))).await?);
    assert!(!world.store.tokens().await?.iter().any(|token| token.id == mine.id));
    assert_eq!(world.store.audit_rows(world.id(), 1).await?, [audit]);
    assert!(neighbour.store.audit_rows(neighbour.id(), 10).await?.is_empty());
    Ok(())
}

pub async fn a_token_never_may_more_than_its_operator(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let ada = person(&world, "ada@stacklane.co", Role::Operator);
    world.store.put_operator(ada.clone(), world.audit("operator.create", after(1))).await?;
    for role in [Role::Viewer, Role::Admin] {
        world.store.put_token(token(&world, &ada, role), world.audit("token.create", after(2))).await?;
    }
    let roles = async || {
        let mut of_ada = world.store.tokens().await?;
        of_ada.retain(|token| token.operator_id == ada.id);
        let mut roles: Vec<Role> = of_ada.iter().map(|token| token.role).collect();
        roles.sort();
        Ok::<_, crate::store::StoreError>(roles)
    };
    assert_eq!(roles().await?, [Role::Viewer, Role::Operator]);
    let change = OperatorChange { role: Some(Role::Viewer), ..OperatorChange::default() };
    world.store.change_operator(ada.id, change, world.audit("operator.change", after(3))).await?;
    assert_eq!(roles().await?, [Role::Viewer, Role::Viewer]);
    let told = &world.store.audit_rows(world.id(), 1).await?[0].changes[0];
    assert_eq!([&*told.field, &*told.before, &*told.after], ["role", "operator", "viewer"]);
    let deleted = world.store.delete_operator(ada.id, world.audit("operator.delete", after(4))).await?;
    assert_eq!((deleted, roles().await?.len()), (AccountChanged::Done, 0));
    Ok(())
}

pub async fn people_are_changed_field_by_field_within_their_workspace(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let neighbour = world.neighbour().await?;
    let mut ada = person(&world, "ada@stacklane.co", Role::Viewer);
    let put = world.store.put_operator(ada.clone(), world.audit("operator.create", after(1))).await?;
    assert_eq!(put, AccountChanged::Done);
    let same = person(&world, "ada@stacklane.co", Role::Viewer);
    let put = world.store.put_operator(same, world.audit("again", after(1))).await?;
    assert_eq!(put, AccountChanged::EmailTaken);
    let theirs = person(&neighbour, "ada@stacklane.co", Role::Viewer);
    let put = neighbour.store.put_operator(theirs, neighbour.audit("operator.create", after(1))).await?;
    assert_eq!(put, AccountChanged::Done, "an email is unique in its workspace alone");

    let change = OperatorChange { password_hash: Some("hash".to_owned()), ..OperatorChange::default() };
    let change_as = async |who: &World, change: &OperatorChange| {
        who.store.change_operator(ada.id, change.clone(), who.audit("operator.change", after(2))).await
    };
    assert_eq!(change_as(&neighbour, &change).await?, AccountChanged::NotFound);
    assert_eq!(change_as(&world, &change).await?, AccountChanged::Done);
    let email = world.founding.admin.email.clone();
    let taken = OperatorChange { email: Some(email), ..OperatorChange::default() };
    assert_eq!(change_as(&world, &taken).await?, AccountChanged::EmailTaken);
    ada.password_hash = "hash".to_owned();
    assert!(world.store.operator(ada.id).await?.as_ref() == Some(&ada));
    assert_eq!(world.store.operators(world.id()).await?.len(), 2);
    assert_eq!(world.store.audit_rows(world.id(), 10).await?.len(), 2);
    Ok(())
}

pub async fn no_invitation_outlives_the_role_that_it_was_made_for(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let mut ada = person(&world, "ada@stacklane.co", Role::Operator);
    let bob = person(&world, "bob@stacklane.co", Role::Operator);
    ada.password_hash = "hash".to_owned();
    for who in [&ada, &bob] {
        world.store.put_operator(who.clone(), world.audit("operator.create", after(1))).await?;
    }
    let stays_after = async |who: &Operator, role: Role| {
        let invitation = Invitation { token_hash: random(), operator_id: who.id, expires_at: after(100) };
        world.store.put_invitation(invitation.clone(), world.audit("operator.invite", after(1))).await?;
        let change = OperatorChange { role: Some(role), ..OperatorChange::default() };
        world.store.change_operator(who.id, change, world.audit("operator.change", after(2))).await?;
        Ok::<_, crate::store::StoreError>(
            world.store.invited(invitation.token_hash, after(3)).await?.is_some(),
        )
    };
    assert!(stays_after(&ada, Role::Operator).await?, "the same role");
    assert!(!stays_after(&ada, Role::Admin).await?);
    assert!(!stays_after(&ada, Role::Viewer).await?);
    assert!(!stays_after(&bob, Role::Admin).await?);
    assert!(stays_after(&bob, Role::Viewer).await?, "nothing is gained, and there is no other way in");
    Ok(())
}

pub async fn the_last_admin_stays_one(harness: &dyn Harness) -> Outcome {
    let world = World::open(harness).await?;
    let admin = world.founding.admin.id;
    let demote = OperatorChange { role: Some(Role::Operator), ..OperatorChange::default() };
    let changed = world.store.change_operator(admin, demote.clone(), world.audit("x", after(1))).await?;
    assert_eq!(changed, AccountChanged::LastAdmin);
    let deleted = world.store.delete_operator(admin, world.audit("x", after(1))).await?;
    assert_eq!(deleted, AccountChanged::LastAdmin);
    assert!(world.store.audit_rows(world.id(), 10).await?.is_empty());

    let second = person(&world, "ada@stacklane.co", Role::Admin);
    world.store.put_operator(second.clone(), world.audit("operator.create", after(2))).await?;
    let changed = world.store.change_operator(admin, demote.clone(), world.audit("x", after(3))).await?;
    assert_eq!(changed, AccountChanged::LastAdmin, "the other one has not come yet");
    let deleted = world.store.delete_operator(admin, world.audit("x", after(3))).await?;
    assert_eq!(deleted, AccountChanged::LastAdmin);
    let come = OperatorChange { password_hash: Some("hash".to_owned()), ..OperatorChange::default() };
    world.store.change_operator(second.id, come, world.audit("operator.change", after(3))).await?;
    let changed =
        world.store.change_operator(admin, demote, world.audit("operator.change", after(3))).await?;
    assert_eq!(changed, AccountChanged::Done);
    Ok(())
}

pub async fn an_invitation_is_used_once_in_its_time_and_replaces_an_earlier_one(
    harness: &dyn Harness,
) -> Outcome {
    let world = World::open(harness).await?;
    let ada = person(&world, "ada@stacklane.co", Role::Viewer);
    world.store.put_operator(ada.clone(), world.audit("operator.create", after(1))).await?;
    let invite = async |expires_at| {
        let token_hash: [u8; 32] = random();
        let invitation = Invitation { token_hash, operator_id: ada.id, expires_at: after(expires_at) };
        world.store.put_invitation(invitation, world.audit("operator.invite", after(1))).await?;
        Ok::<_, crate::store::StoreError>(token_hash)
    };
    let first = invite(100).await?;
    let second = invite(60).await?;
    assert!(world.store.invited(first, START).await?.is_none());
    let invited = world.store.invited(second, after(59)).await?;
    assert!(invited.is_some_and(|who| who.id == ada.id && who.invited_until == Some(after(60))));
    assert!(world.store.invited(second, after(60)).await?.is_none());

    let accept = async |token_hash, at| {
        let audit = world.audit("operator.accept_invitation", after(at));
        world.store.accept_invitation(token_hash, format!("hash at {at}"), audit).await
    };
    assert!(!accept(second, 60).await?);
    assert!(!accept(first, 10).await?);
    assert!(accept(second, 20).await?);
    assert!(!accept(second, 21).await?, "once");
    let known = world.store.operator(ada.id).await?;
    assert!(known.is_some_and(|who| who.password_hash == "hash at 20" && who.invited_until.is_none()));
    Ok(())
}
