//! What holds for every route: methods, bodies, health, metrics, the contract.

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};

use crate::rig::{Rig, lead_of};

#[tokio::test]
async fn every_documented_path_is_served() {
    let rig = Rig::start().await;
    for (method, template) in rig.contract.operations() {
        let path = template.replace("{id}", "none").replace("{direction}", "none");
        let answer = rig.call(&method, &path, Value::Null).await;
        assert!(answer.status < 500 && answer.status != 405, "{method} {path}: {}", answer.status);
        if !template.contains('{') {
            assert_ne!(answer.status, 404, "{method} {path}");
        }
    }
    rig.call("GET", "/api/v1/nothing", Value::Null).await.expect_problem(404, "not_found");
    rig.call("GET", "/", Value::Null).await.expect_problem(404, "not_found");
    let browser = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"))]);
    let answer = rig.send(Method::GET, "/", browser, "").await;
    assert_eq!((answer.status, &answer.headers["location"]), (303, &"/dashboard".parse().unwrap()));
}

#[tokio::test]
async fn a_method_that_a_resource_lacks_is_refused_with_those_it_has() {
    let rig = Rig::start().await;
    for (method, path, allow) in [
        ("DELETE", "/api/v1/leads", "GET, HEAD"),
        ("GET", "/api/v1/deliveries/resend", "POST"),
        ("POST", "/api/v1/settings", "GET, HEAD, PUT"),
        ("PUT", "/api/v1/destinations/x", "GET, HEAD, PATCH, DELETE"),
        ("POST", "/healthz", "GET, HEAD"),
    ] {
        let answer = rig.call(method, path, Value::Null).await;
        assert_eq!(answer.headers.get_all("allow").iter().collect::<Vec<_>>(), [allow], "{method} {path}");
        answer.expect_problem(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let rig = Rig::start().await;
    let mut headers = HeaderMap::new();
    headers.insert("authorization", format!("Bearer {}", rig.first.api_token).parse().unwrap());
    let put = async |headers: &HeaderMap, body: String| {
        rig.send(Method::PUT, "/api/v1/settings", headers.clone(), body).await
    };
    put(&headers, "{}".into()).await.expect_problem(415, "unsupported_media_type");
    headers.insert("content-type", "application/json".parse().unwrap());
    let twice = r#"{"retention_days": 5, "retention_days": 6}"#;
    let nul = r#"{"scoring": {"preferred_sources": ["a\u0000b"]}}"#;
    for wrong in ["{", "[]", "5", "null", "\u{feff}{}", "{} {}", twice, nul] {
        put(&headers, wrong.into()).await.expect_problem(400, "malformed_json");
    }
    let deep = "[".repeat(100_000);
    put(&headers, deep).await.expect_problem(400, "malformed_json");
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(256 * 1024));
    put(&headers, long).await.expect_problem(413, "body_too_large");
}

#[tokio::test]
async fn a_parameter_that_a_route_does_not_take_is_refused() {
    let rig = Rig::start().await;
    let id = rig.lead(lead_of("Jordan")).await["lead_id"].as_str().unwrap().to_owned();
    for (method, path) in [
        ("POST", "/api/v1/deliveries/resend?dry_run=true".to_owned()),
        ("POST", format!("/api/v1/leads/{id}/decision?outcome=approved")),
        ("GET", format!("/api/v1/leads/{id}?x=1")),
        ("GET", "/api/v1/settings?x=1".to_owned()),
        ("PUT", "/api/v1/settings?auto_approve_at=5".to_owned()),
        ("POST", "/api/v1/inbound-endpoint/rotate?x".to_owned()),
        ("DELETE", "/api/v1/destinations/none?force".to_owned()),
    ] {
        rig.call(method, &path, Value::Null).await.expect_problem(400, "bad_request");
    }
    for list in ["leads", "inbound-logs", "events", "deliveries", "destinations"] {
        for wrong in ["x=", "x", "%", "&&stat=", "limit=1&limit="] {
            rig.call("GET", &format!("/api/v1/{list}?{wrong}"), Value::Null)
                .await
                .expect_problem(400, "bad_request");
        }
        rig.get(&format!("/api/v1/{list}?cursor=&limit=")).await;
    }
    rig.call("GET", "/api/v1/leads?q=%00x", Value::Null).await.expect_problem(400, "bad_request");
}

#[tokio::test]
async fn operations_need_no_token() {
    let rig = Rig::start().await;
    let open = async |path| rig.call_as(None, "GET", path, Value::Null).await;
    assert_eq!(open("/healthz").await.expect(200), json!({"status": "ok"}));
    assert_eq!(open("/readyz").await.expect(200), json!({"status": "ok"}));
    rig.lead(lead_of("Jordan")).await;
    let metrics = open("/metrics").await;
    assert_eq!(metrics.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = String::from_utf8(metrics.bytes.to_vec()).unwrap();
    assert!(text.contains("agentflow_inbound_requests_total{status=\"received\",reason=\"\"} 1\n"), "{text}");
    assert!(!text.contains("jordan"));
    let dashboard = rig.send(Method::GET, "/dashboard", HeaderMap::new(), "").await;
    assert_eq!(dashboard.status, 303);
    assert_eq!(dashboard.headers["location"], "/dashboard/login?next=%2Fdashboard");
}
