//! Leads through the API, and an operator's decisions.

use serde_json::{Value, json};

use crate::rig::{Rig, lead_of};

/// Leaves every lead to the operators.
async fn review_everything(rig: &Rig) {
    let off = json!({"auto_approve_at": null, "auto_reject_below": null});
    rig.call("PUT", "/api/v1/settings", off).await.expect(200);
}

#[tokio::test]
async fn a_lead_is_shown_with_all_that_led_to_it() {
    let rig = Rig::start().await;
    review_everything(&rig).await;
    let receipt = rig.lead(lead_of("Jordan")).await;
    let id = receipt["lead_id"].as_str().unwrap();
    let lead = rig.get(&format!("/api/v1/leads/{id}")).await;
    assert_eq!((&lead["state"], &lead["version"]), (&json!("in_review"), &json!(1)));
    assert_eq!(lead["fields"], json!({"seats": 40}));
    assert_eq!(lead["submissions"][0]["body"], lead_of("Jordan"));
    assert_eq!(lead["score"], lead["qualification"]["score"]);
    assert_eq!(lead["decision"], Value::Null);
    assert_eq!(lead["events"][0]["type"], "lead.review_requested");

    let log = rig.get("/api/v1/inbound-logs?status=received").await;
    assert_eq!(
        (&log["items"][0]["lead_id"], &log["items"][0]["remote_addr"]),
        (&json!(id), &json!("127.0.0.1"))
    );
    let event_id = lead["events"][0]["id"].as_str().unwrap();
    let event = rig.get(&format!("/api/v1/events/{event_id}")).await;
    assert_eq!((&event["body"]["id"], &event["body"]["lead_id"]), (&json!(event_id), &json!(id)));
    assert_eq!(rig.get("/api/v1/events").await["items"], json!([event]));
    rig.stop().await;
}

#[tokio::test]
async fn lists_are_filtered_and_paged_newest_first() {
    let rig = Rig::start().await;
    review_everything(&rig).await;
    for name in ["Ada", "Ben", "Cleo"] {
        rig.lead(lead_of(name)).await;
    }
    let names = |page: &Value| -> Vec<String> {
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|lead| lead["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = rig.get("/api/v1/leads?limit=2").await;
    assert_eq!(names(&first), ["Cleo", "Ben"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let last = rig.get(&format!("/api/v1/leads?limit=2&cursor={cursor}")).await;
    assert_eq!((names(&last), &last["next_cursor"]), (vec!["Ada".to_owned()], &Value::Null));
    assert_eq!(names(&rig.get("/api/v1/leads?email=BEN@stacklane.co").await), ["Ben"]);
    assert_eq!(
        names(&rig.get("/api/v1/leads?q=leo&state=in_review&source=website_contact_form").await),
        ["Cleo"]
    );
    assert_eq!(names(&rig.get("/api/v1/leads?state=&source=elsewhere").await), [""; 0]);
    for wrong in [
        "state=open",
        "limit=0",
        "limit=101",
        "cursor=x",
        "email=nobody",
        "stat=in_review",
        "limit=1&limit=2",
    ] {
        rig.call("GET", &format!("/api/v1/leads?{wrong}"), Value::Null)
            .await
            .expect_problem(400, "bad_request");
    }
}

#[tokio::test]
async fn an_operator_decides_once_and_on_what_was_seen() {
    let rig = Rig::start().await;
    review_everything(&rig).await;
    let receipt = rig.lead(lead_of("Jordan")).await;
    let path = format!("/api/v1/leads/{}/decision", receipt["lead_id"].as_str().unwrap());
    let decide = |body| rig.call("POST", &path, body);

    let refused =
        decide(json!({"outcome": "maybe", "note": 5})).await.expect_problem(422, "validation_failed");
    assert_eq!(refused["errors"].as_array().unwrap().len(), 2, "{refused}");
    decide(json!({})).await.expect_problem(422, "validation_failed");
    decide(json!({"outcome": "approved", "notes": "?"})).await.expect_problem(400, "bad_request");
    decide(json!({"outcome": "approved", "version": 7})).await.expect_problem(409, "lead_changed");

    let lead = decide(json!({"outcome": "approved", "note": "Called them.", "version": 1})).await.expect(200);
    assert_eq!((&lead["state"], &lead["version"]), (&json!("qualified"), &json!(2)));
    assert_eq!(
        (&lead["decision"]["by"], &lead["decision"]["note"]),
        (&json!("operator"), &json!("Called them."))
    );
    let types: Vec<_> = lead["events"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["lead.review_requested", "lead.qualified"]);
    decide(json!({"outcome": "rejected"})).await.expect_problem(409, "lead_closed");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let rig = Rig::start().await;
    for kind in ["leads/lead", "events/evt", "deliveries/dlv", "destinations/dst"] {
        for id in ["_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f", "", "_0192", "%FF"] {
            rig.call("GET", &format!("/api/v1/{kind}{id}"), Value::Null)
                .await
                .expect_problem(404, "not_found");
        }
    }
}
