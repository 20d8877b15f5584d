//! Rotation of signing secrets and of the inbound endpoint.

use serde_json::{Value, json};

use crate::rig::{Rig, lead_of};

#[tokio::test]
async fn a_replaced_inbound_secret_is_valid_for_the_overlap() {
    let rig = Rig::start().await;
    let rotated = rig.call("POST", "/api/v1/secrets/inbound/rotate", Value::Null).await.expect(200);
    let (url, old) = (rig.first.inbound_url.clone(), rig.first.inbound_secret.clone());
    let new = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(new, old);
    assert_eq!(rig.lead_signed(&url, &old, lead_of("Ada")).await.status, 202);
    assert_eq!(rig.lead_signed(&url, &new, lead_of("Ben")).await.status, 202);

    let none = json!({"overlap_seconds": 0});
    let newest = rig.call("POST", "/api/v1/secrets/inbound/rotate", none).await.expect(200);
    rig.lead_signed(&url, &old, lead_of("Cleo")).await.expect_problem(401, "invalid_signature");
    rig.lead_signed(&url, &new, lead_of("Dan")).await.expect_problem(401, "invalid_signature");
    assert_eq!(rig.lead_signed(&url, newest["secret"].as_str().unwrap(), lead_of("Eve")).await.status, 202);
}

#[tokio::test]
async fn rotation_takes_a_direction_and_a_bounded_overlap() {
    let rig = Rig::start().await;
    let outbound = rig.call("POST", "/api/v1/secrets/outbound/rotate", json!({})).await.expect(200);
    assert_eq!(outbound["direction"], "outbound");
    for wrong in [json!(-1), json!(2_592_001), json!("86400"), Value::Null] {
        let body = json!({"overlap_seconds": wrong});
        rig.call("POST", "/api/v1/secrets/outbound/rotate", body)
            .await
            .expect_problem(422, "validation_failed");
    }
    rig.call("POST", "/api/v1/secrets/sideways/rotate", Value::Null).await.expect_problem(404, "not_found");
}

#[tokio::test]
async fn only_a_few_secrets_are_accepted_at_the_same_time() {
    let rig = Rig::start().await;
    let rotate = async |body| rig.call("POST", "/api/v1/secrets/inbound/rotate", body).await;
    for _ in 0..7 {
        rotate(Value::Null).await.expect(200);
    }
    rotate(Value::Null).await.expect_problem(400, "bad_request");
    let newest = rotate(json!({"overlap_seconds": 0})).await.expect(200);
    let secret = newest["secret"].as_str().unwrap();
    assert_eq!(rig.lead_signed(&rig.first.inbound_url, secret, lead_of("Ada")).await.status, 202);
    rotate(Value::Null).await.expect(200);
}

#[tokio::test]
async fn the_old_inbound_url_is_unknown_after_a_rotation() {
    let rig = Rig::start().await;
    let secret = &rig.first.inbound_secret;
    let rotated = rig.call("POST", "/api/v1/inbound-endpoint/rotate", Value::Null).await.expect(200);
    let url = rotated["inbound_url"].as_str().unwrap();
    assert_eq!(rig.lead_signed(url, secret, lead_of("Ada")).await.status, 202);
    let gone = rig.lead_signed(&rig.first.inbound_url, secret, lead_of("Ben")).await;
    gone.expect_problem(404, "unknown_endpoint");
}
