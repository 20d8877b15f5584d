//! The dashboard over HTTPS, without a browser: who gets in, what a foreign page can do, when a session ends.

use std::time::Duration;

use agentflow_server::clock::Clock;
use agentflow_server::record::Role;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::json;

use crate::rig::{Answer, Rig, lead_of};

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
pub(crate) const PASSWORD: &str = "a long enough password";

pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, HeaderValue::from_str(value).unwrap());
    }
    map
}

pub(crate) fn ours(cookie: &str) -> HeaderMap {
    headers(&[("content-type", FORM), ("sec-fetch-site", "same-origin"), ("cookie", cookie)])
}

pub(crate) fn encoded(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub(crate) async fn sign_in(rig: &Rig, email: &str, password: &str) -> Answer {
    let body = encoded(&[("email", email), ("password", password)]);
    rig.send(Method::POST, "/dashboard/login", ours(""), body).await
}

pub(crate) fn cookie_of(answer: &Answer) -> String {
    let text = answer.headers["set-cookie"].to_str().unwrap();
    text.split(';').next().unwrap().to_owned()
}

/// A session of the rig's first admin.
pub(crate) async fn admin(rig: &Rig) -> String {
    let answer = sign_in(rig, &rig.first.admin_email, &rig.first.admin_password).await;
    assert_eq!(answer.status, 303);
    cookie_of(&answer)
}

pub(crate) fn token_in(page: &Answer) -> String {
    let text = std::str::from_utf8(&page.bytes).unwrap();
    let at = text.find("name=\"token\" value=\"").expect("a form with a token") + 20;
    text[at..].split('"').next().unwrap().to_owned()
}

pub(crate) async fn get(rig: &Rig, path: &str, cookie: &str) -> Answer {
    rig.send(Method::GET, path, headers(&[("cookie", cookie)]), "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_asks_for_its_role() {
    let rig = Rig::start().await;
    let mut sessions = vec![(None, String::new()), (Some(Role::Admin), admin(&rig).await)];
    for role in [Role::Viewer, Role::Operator] {
        let email = format!("{}@example.com", role.as_str());
        let body = json!({"email": email, "role": role.as_str(), "password": PASSWORD});
        rig.call("POST", "/api/v1/operators", body).await.expect(201);
        sessions.push((Some(role), cookie_of(&sign_in(&rig, &email, PASSWORD).await)));
    }
    let table = include_str!("dashboard_routes.tsv");
    assert!(table.lines().count() > 40);
    for line in table.lines() {
        let [method, path, needed] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        // Ids that name nothing: whoever may ask is told so, and changes nothing.
        let path =
            path.replace("{what}", "pause").replace("{direction}", "sideways").replace(['{', '}'], "x");
        let needed =
            [Role::Viewer, Role::Operator, Role::Admin].into_iter().find(|role| role.as_str() == needed);
        for (role, cookie) in &sessions {
            if path.ends_with("/live") && role.is_some() {
                // It would go on telling; the browser's tests follow it.
                continue;
            }
            let method: Method = method.parse().unwrap();
            // A form without its token: refused as foreign, after the role was judged.
            let answer = rig.send(method.clone(), &path, ours(cookie), "").await;
            let what = format!("{method} {path} as {role:?}");
            let text = String::from_utf8_lossy(&answer.bytes).into_owned();
            match (needed, role) {
                (None, _) if path == "/dashboard/login/code" => {
                    assert_eq!(answer.headers["location"], "/dashboard/login", "{what}")
                }
                (None, _) if path == "/dashboard/" => assert_eq!(answer.headers["location"], "/dashboard"),
                (None, _) => assert_ne!(answer.status, 303, "{what} is open"),
                (Some(_), None) => {
                    assert_eq!(answer.status, 303, "{what}");
                    assert!(
                        answer.headers["location"].to_str().unwrap().starts_with("/dashboard/login"),
                        "{what}"
                    );
                }
                (Some(needed), Some(role)) if *role < needed => {
                    assert_eq!(answer.status, 403, "{what}");
                    assert!(
                        text.contains(&format!("This needs the role {}", needed.as_str())),
                        "{what}: {text}"
                    );
                }
                (Some(_), Some(_)) if method == Method::POST => {
                    assert_eq!(answer.status, 403, "{what}");
                    assert!(text.contains("earlier session"), "{what}: {text}");
                }
                (Some(_), Some(_)) => {
                    assert!(matches!(answer.status, 200 | 303 | 404), "{what}: {}", answer.status)
                }
            }
            assert!(
                answer.headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'")
            );
        }
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn enabling_a_destination_is_for_admins_though_pausing_is_for_operators() {
    let rig = Rig::start().await;
    let body = json!({"url": "https://hooks.example.com/", "event_types": ["lead.qualified"]});
    let made = rig.call("POST", "/api/v1/destinations", body).await.expect(201);
    let path = format!("/dashboard/destinations/{}", made["id"].as_str().unwrap());
    let body = json!({"email": "o@example.com", "role": "operator", "password": PASSWORD});
    rig.call("POST", "/api/v1/operators", body).await.expect(201);
    let cookie = cookie_of(&sign_in(&rig, "o@example.com", PASSWORD).await);
    let token = token_in(&get(&rig, &path, &cookie).await);
    let form = encoded(&[("token", &token)]);
    let act = async |what: &str| {
        rig.send(Method::POST, &format!("{path}/{what}"), ours(&cookie), form.clone()).await.status
    };
    assert_eq!(act("pause").await, 303);
    assert_eq!(act("resume").await, 303);
    assert_eq!(act("disable").await, 403);
    assert_eq!(act("enable").await, 403);
    assert_eq!(act("nonsense").await, 404);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_changes_nothing_even_with_the_cookie_and_the_token() {
    let rig = Rig::start().await;
    let cookie = admin(&rig).await;
    let token = token_in(&get(&rig, "/dashboard/account", &cookie).await);
    let body = encoded(&[
        ("token", &token),
        ("email", "evil@example.com"),
        ("role", "admin"),
        ("password", &rig.first.admin_password),
    ]);
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "none"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
    ] {
        let foreign = headers(&[("content-type", FORM), ("cookie", &cookie), (name, value)]);
        let answer = rig.send(Method::POST, "/dashboard/settings/operators", foreign, body.clone()).await;
        assert_eq!(answer.status, 403, "{name}: {value}");
    }
    let people = rig.call("GET", "/api/v1/operators", json!(null)).await.expect(200);
    assert_eq!(people["items"].as_array().unwrap().len(), 1);
    let answer = rig.send(Method::POST, "/dashboard/settings/operators", ours(&cookie), body).await;
    assert_eq!(answer.status, 303, "the same from our own page");
    let people = rig.call("GET", "/api/v1/operators", json!(null)).await.expect(200);
    assert_eq!(people["items"].as_array().unwrap().len(), 2);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_as_strict_as_cookies_can_be_and_new_at_every_sign_in() {
    let rig = Rig::start().await;
    let first = sign_in(&rig, &rig.first.admin_email, &rig.first.admin_password).await;
    let text = first.headers["set-cookie"].to_str().unwrap();
    assert!(text.starts_with("__Host-agentflow="), "{text}");
    for attribute in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(text.split("; ").any(|part| part == attribute), "{text}");
    }
    assert_ne!(cookie_of(&first), admin(&rig).await);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_when_idle_when_old_when_signed_out_and_with_the_password() {
    let clock = Clock::manual(agentflow_events::Moment::from(std::time::SystemTime::now()));
    let rig = Rig::start_at(clock.clone(), tempfile::tempdir().unwrap(), |_| {}).await;
    let is_in = async |cookie: &str| get(&rig, "/dashboard/account", cookie).await.status == 200;
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);

    let cookie = admin(&rig).await;
    clock.advance(minutes(29));
    assert!(is_in(&cookie).await);
    clock.advance(minutes(29));
    assert!(is_in(&cookie).await, "used half an hour ago at most");
    clock.advance(minutes(31));
    assert!(!is_in(&cookie).await, "idle");

    let cookie = admin(&rig).await;
    for _ in 0..28 {
        clock.advance(minutes(25));
        assert!(is_in(&cookie).await);
    }
    clock.advance(minutes(25));
    assert!(!is_in(&cookie).await, "twelve hours are over");

    let (cookie, other) = (admin(&rig).await, admin(&rig).await);
    let token = token_in(&get(&rig, "/dashboard/account", &cookie).await);
    let out = rig.send(Method::POST, "/dashboard/logout", ours(&cookie), encoded(&[("token", &token)])).await;
    assert_eq!(out.status, 303);
    assert!(!is_in(&cookie).await);
    assert!(is_in(&other).await);

    let third = admin(&rig).await;
    let token = token_in(&get(&rig, "/dashboard/account", &other).await);
    let change = |present: &str| {
        let body =
            encoded(&[("token", &token), ("present", present), ("password", PASSWORD), ("again", PASSWORD)]);
        rig.send(Method::POST, "/dashboard/account/password", ours(&other), body)
    };
    assert_eq!(change("not it").await.status, 400);
    let changed = change(&rig.first.admin_password).await;
    assert_eq!(changed.status, 303);
    assert!(!is_in(&third).await && !is_in(&other).await, "the old password's sessions are over");
    let stays = get(&rig, "/dashboard/account", &cookie_of(&changed)).await;
    assert!(String::from_utf8_lossy(&stays.bytes).contains("Your password is changed"));
    assert_eq!(sign_in(&rig, &rig.first.admin_email, &rig.first.admin_password).await.status, 403);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_have_the_account_wait_and_names_are_not_told() {
    let clock = Clock::manual(agentflow_events::Moment::from(std::time::SystemTime::now()));
    let rig = Rig::start_at(clock.clone(), tempfile::tempdir().unwrap(), |_| {}).await;
    let wrong = sign_in(&rig, &rig.first.admin_email, "wrong").await;
    let unknown = sign_in(&rig, "nobody@example.com", "wrong").await;
    let same = |answer: &Answer, email: &str| String::from_utf8_lossy(&answer.bytes).replace(email, "");
    assert_eq!((wrong.status, unknown.status), (403, 403));
    assert_eq!(same(&wrong, &rig.first.admin_email), same(&unknown, "nobody@example.com"));
    for _ in 0..9 {
        sign_in(&rig, &rig.first.admin_email, "wrong").await;
    }
    let refused = sign_in(&rig, &rig.first.admin_email, &rig.first.admin_password).await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (429, &HeaderValue::from_static("900")));
    clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(sign_in(&rig, &rig.first.admin_email, &rig.first.admin_password).await.status, 303);
    rig.stop().await;
}

/// The lead's id, and a form that decides on it as it is now.
pub(crate) async fn pick(rig: &Rig, cookie: &str, name: &str) -> (String, Vec<(&'static str, String)>) {
    let id = rig.lead(lead_of(name)).await["lead_id"].as_str().unwrap().to_owned();
    let lead = rig.get(&format!("/api/v1/leads/{id}")).await;
    assert_eq!(lead["state"], "in_review");
    let token = token_in(&get(rig, "/dashboard/account", cookie).await);
    let pick = format!("{id}.{}", lead["version"]);
    (id, vec![("token", token), ("outcome", "approved".to_owned()), ("pick", pick)])
}

pub(crate) async fn decide(rig: &Rig, cookie: &str, form: &[(&'static str, String)]) -> Answer {
    let pairs: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    rig.send(Method::POST, "/dashboard/review/decide", ours(cookie), encoded(&pairs)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_decision_is_committed_when_the_server_stops() {
    let rig = Rig::start().await;
    let cookie = admin(&rig).await;
    let (id, form) = pick(&rig, &cookie, "Jordan").await;
    assert_eq!(decide(&rig, &cookie, &form).await.status, 303);
    let path = format!("/api/v1/leads/{id}");
    assert_eq!(rig.get(&path).await["state"], "in_review", "held");
    let rig = rig.restart(|_| {}).await;
    let lead = rig.get(&path).await;
    assert_eq!((&lead["state"], &lead["decision"]["by"]), (&json!("qualified"), &json!("operator")));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_decision_needs_its_operator_to_the_end() {
    let rig = Rig::start().await;
    let mut ids = Vec::new();
    for (name, after) in [("Gone", None), ("Demoted", Some("viewer")), ("Still", Some("operator"))] {
        let email = format!("{}@example.com", name.to_lowercase());
        let body = json!({"email": email, "role": "admin", "password": PASSWORD});
        let made = rig.call("POST", "/api/v1/operators", body).await.expect(201);
        let operator = format!("/api/v1/operators/{}", made["id"].as_str().unwrap());
        let cookie = cookie_of(&sign_in(&rig, &email, PASSWORD).await);
        let (id, form) = pick(&rig, &cookie, name).await;
        assert_eq!(decide(&rig, &cookie, &form).await.status, 303);
        match after {
            None => rig.call("DELETE", &operator, json!(null)).await.expect(204),
            Some(role) => rig.call("PATCH", &operator, json!({"role": role})).await.expect(200),
        };
        ids.push(id);
    }
    let rig = rig.restart(|_| {}).await;
    for (id, state) in ids.iter().zip(["in_review", "in_review", "qualified"]) {
        assert_eq!(rig.get(&format!("/api/v1/leads/{id}")).await["state"], state);
    }
    rig.stop().await;
}
