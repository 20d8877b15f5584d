//! A workspace's settings.

use serde_json::{Value, json};

use crate::rig::Rig;

#[tokio::test]
async fn a_change_may_be_partial_and_null_turns_off() {
    let rig = Rig::start().await;
    let before = rig.get("/api/v1/settings").await;
    assert_eq!((&before["auto_approve_at"], &before["auto_reject_below"]), (&json!(80), &json!(30)));
    assert_eq!(before["retry_schedule_seconds"], json!([0, 5, 300, 1800, 7200, 18000, 36000, 36000]));
    assert_eq!(before["retention_days"], Value::Null);

    let change = json!({"auto_approve_at": null, "retry_schedule_seconds": [0, 1], "scoring": {"preferred_sources": ["partner"]}});
    let after = rig.call("PUT", "/api/v1/settings", change).await.expect(200);
    assert_eq!((&after["auto_approve_at"], &after["auto_reject_below"]), (&Value::Null, &json!(30)));
    assert_eq!(after["scoring"]["preferred_sources"], json!(["partner"]));
    assert_eq!(after["scoring"]["disposable_domains"], json!([]));
    assert_eq!(rig.get("/api/v1/settings").await, after);
    assert_eq!(rig.call("PUT", "/api/v1/settings", before.clone()).await.expect(200), before);
}

#[tokio::test]
async fn a_wrong_setting_is_named_and_nothing_changes() {
    let rig = Rig::start().await;
    let before = rig.get("/api/v1/settings").await;
    for (change, field, code) in [
        (json!({"auto_approve_at": 101}), "auto_approve_at", "invalid_format"),
        (json!({"auto_approve_at": 300}), "auto_approve_at", "invalid_format"),
        (json!({"auto_approve_at": "80"}), "auto_approve_at", "invalid_type"),
        (json!({"auto_reject_below": -1}), "auto_reject_below", "invalid_format"),
        (json!({"auto_reject_below": 81}), "auto_reject_below", "invalid_format"),
        (json!({"auto_approve_at": 29}), "auto_reject_below", "invalid_format"),
        (json!({"duplicate_window_seconds": 599}), "duplicate_window_seconds", "invalid_format"),
        (json!({"duplicate_window_seconds": null}), "duplicate_window_seconds", "invalid_type"),
        (json!({"retry_schedule_seconds": []}), "retry_schedule_seconds", "invalid_format"),
        (json!({"retry_schedule_seconds": vec![0; 51]}), "retry_schedule_seconds", "invalid_format"),
        (json!({"retry_schedule_seconds": [2_592_001]}), "retry_schedule_seconds", "invalid_format"),
        (json!({"retention_days": 0}), "retention_days", "invalid_format"),
        (json!({"scoring": {"keywords": []}}), "scoring", "invalid_type"),
        (json!({"scoring": {"preferred_sources": [" "]}}), "scoring", "invalid_format"),
    ] {
        let problem =
            rig.call("PUT", "/api/v1/settings", change).await.expect_problem(422, "validation_failed");
        assert_eq!(
            (&problem["errors"][0]["field"], &problem["errors"][0]["code"]),
            (&json!(field), &json!(code))
        );
        assert_eq!(problem["errors"].as_array().unwrap().len(), 1, "{problem}");
    }
    let both = json!({"auto_approve_at": 101, "retention_days": 0});
    let problem = rig.call("PUT", "/api/v1/settings", both).await.expect_problem(422, "validation_failed");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 2, "every violation at once");
    rig.call("PUT", "/api/v1/settings", json!({"auto_aprove_at": 9}))
        .await
        .expect_problem(400, "bad_request");
    assert_eq!(rig.get("/api/v1/settings").await, before);
}
