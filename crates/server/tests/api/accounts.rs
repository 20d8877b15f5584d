//! People, their tokens, and who did what.

use serde_json::{Value, json};

use crate::rig::Rig;

async fn actions(rig: &Rig) -> Vec<String> {
    let page = rig.get("/api/v1/audit").await;
    let action = |row: &Value| row["action"].as_str().unwrap().to_owned();
    page["items"].as_array().unwrap().iter().map(action).collect()
}

#[tokio::test]
async fn a_token_is_shown_once_counts_its_uses_and_ends_at_once() {
    let rig = Rig::start().await;
    let asked = json!({"name": " deploys ", "role": "viewer"});
    let fresh = rig.call("POST", "/api/v1/tokens", asked).await.expect(201);
    let text = fresh["secret"].as_str().unwrap();
    assert_eq!((&fresh["name"], &fresh["last_used_at"]), (&json!("deploys"), &Value::Null));
    rig.call_as(Some(text), "GET", "/api/v1/leads", Value::Null).await.expect(200);

    let page = rig.get("/api/v1/tokens").await;
    assert!(!page.to_string().contains("aft_"), "never shown again: {page}");
    assert_eq!(page["items"][0]["id"], fresh["id"]);
    assert!(page["items"][0]["last_used_at"].is_string());
    let rig = rig.restart(|_| {}).await;
    assert_eq!(rig.get("/api/v1/tokens").await["items"][0], page["items"][0]);

    let path = format!("/api/v1/tokens/{}", fresh["id"].as_str().unwrap());
    rig.call("DELETE", &path, Value::Null).await.expect(204);
    rig.call_as(Some(text), "GET", "/api/v1/leads", Value::Null).await.expect_problem(401, "unauthorized");
    rig.call("DELETE", &path, Value::Null).await.expect_problem(404, "not_found");
    assert_eq!(actions(&rig).await, ["token.delete", "token.create"]);
    for wrong in [json!({"name": "", "role": "viewer"}), json!({"name": "x", "role": "owner"}), json!({})] {
        rig.call("POST", "/api/v1/tokens", wrong).await.expect_problem(422, "validation_failed");
    }
}

#[tokio::test]
async fn a_person_is_made_with_a_password_or_invited_to_choose_one() {
    let rig = Rig::start().await;
    let asked = json!({"email": "Ada@Stacklane.co", "role": "operator", "password": "correct horse battery"});
    let ada = rig.call("POST", "/api/v1/operators", asked.clone()).await.expect(201);
    assert_eq!((&ada["email"], &ada["has_password"]), (&json!("ada@stacklane.co"), &json!(true)));
    assert_eq!(ada["invitation"], Value::Null);
    rig.call("POST", "/api/v1/operators", asked).await.expect_problem(400, "bad_request");

    let asked = json!({"email": "ben@stacklane.co", "role": "viewer"});
    let ben = rig.call("POST", "/api/v1/operators", asked).await.expect(201);
    assert_eq!(ben["has_password"], false);
    let path = format!("/api/v1/operators/{}", ben["id"].as_str().unwrap());
    let newer = rig.call("POST", &format!("{path}/invitation"), Value::Null).await.expect(201);
    let accept = async |token: &Value, password: &str| {
        let body = json!({"token": token, "password": password});
        rig.call_as(None, "POST", "/api/v1/invitations/accept", body).await
    };
    let first = &ben["invitation"]["token"];
    accept(first, "correct horse battery").await.expect_problem(404, "not_found");
    accept(&newer["token"], "short").await.expect_problem(422, "validation_failed");
    let accepted = accept(&newer["token"], "correct horse battery").await.expect(200);
    assert_eq!((&accepted["has_password"], &accepted["invited_until"]), (&json!(true), &Value::Null));
    accept(&newer["token"], "another long password").await.expect_problem(404, "not_found");

    let all = rig.get("/api/v1/operators").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
    assert!(!all.to_string().contains("argon2"), "{all}");
    let expected = [
        "operator.accept_invitation",
        "operator.invite",
        "operator.invite",
        "operator.create",
        "operator.create",
    ];
    assert_eq!(actions(&rig).await, expected);
}

#[tokio::test]
async fn a_workspace_keeps_an_admin_and_a_person_may_no_more_than_its_role() {
    let rig = Rig::start().await;
    let me = rig.get("/api/v1/operators").await["items"][0]["id"].as_str().unwrap().to_owned();
    let mine = format!("/api/v1/operators/{me}");
    let demote = json!({"role": "viewer"});
    rig.call("PATCH", &mine, demote.clone()).await.expect_problem(400, "bad_request");
    rig.call("DELETE", &mine, Value::Null).await.expect_problem(400, "bad_request");

    let asked = json!({"email": "ada@stacklane.co", "role": "admin", "password": "correct horse battery"});
    let ada = rig.call("POST", "/api/v1/operators", asked).await.expect(201);
    let taken = json!({"email": "ada@stacklane.co"});
    rig.call("PATCH", &mine, taken).await.expect_problem(400, "bad_request");
    // The token was an admin's; it never may more than its operator.
    rig.call("PATCH", &mine, demote).await.expect(200);
    rig.call("GET", "/api/v1/operators", Value::Null).await.expect_problem(403, "forbidden");
    rig.get("/api/v1/leads").await;
    assert!(ada["id"].is_string());
}

#[tokio::test]
async fn tokens_end_with_the_person_for_whom_they_act() {
    let rig = Rig::start().await;
    let me = rig.get("/api/v1/operators").await["items"][0]["id"].as_str().unwrap().to_owned();
    let asked = json!({"email": "ada@stacklane.co", "role": "admin", "password": "correct horse battery"});
    rig.call("POST", "/api/v1/operators", asked).await.expect(201);
    rig.call("DELETE", &format!("/api/v1/operators/{me}"), Value::Null).await.expect(204);
    rig.call("GET", "/api/v1/leads", Value::Null).await.expect_problem(401, "unauthorized");
}
