//! What strangers, impatient fingers and open pages can and cannot do to the dashboard.

use std::time::Duration;

use agentflow_server::clock::Clock;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request};
use serde_json::json;

use crate::dashboard::{
    FORM, PASSWORD, admin, cookie_of, decide, encoded, get, headers, ours, pick, sign_in, token_in,
};
use crate::rig::{Answer, Rig};

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.bytes).into_owned()
}

async fn post(rig: &Rig, path: &str, cookie: &str, pairs: &[(&str, &str)]) -> Answer {
    rig.send(Method::POST, path, ours(cookie), encoded(pairs)).await
}

async fn driven() -> (Rig, Clock) {
    let clock = Clock::manual(agentflow_events::Moment::from(std::time::SystemTime::now()));
    (Rig::start_at(clock.clone(), tempfile::tempdir().unwrap(), |_| {}).await, clock)
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tries_at_once_do_not_pass_the_limit_together() {
    let rig = Rig::start().await;
    let tries = (0..25).map(|_| sign_in(&rig, &rig.first.admin_email, "wrong"));
    let statuses: Vec<u16> = join_all(tries).await.iter().map(|answer| answer.status).collect();
    let count = |status| statuses.iter().filter(|found| **found == status).count();
    assert_eq!((count(403), count(429)), (10, 15), "{statuses:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_place_that_takes_a_password_in_a_session_shares_one_limit_that_strangers_do_not_fill() {
    let rig = Rig::start().await;
    let cookie = admin(&rig).await;
    let token = token_in(&get(&rig, "/dashboard/account", &cookie).await);
    let reveal = async |password: &str| {
        let pairs = [("token", token.as_str()), ("password", password)];
        post(&rig, "/dashboard/settings/secrets/inbound/reveal", &cookie, &pairs).await.status
    };
    let change = async |present: &str| {
        let pairs =
            [("token", token.as_str()), ("present", present), ("password", PASSWORD), ("again", PASSWORD)];
        post(&rig, "/dashboard/account/password", &cookie, &pairs).await.status
    };
    for nth in 0..5 {
        assert_eq!(sign_in(&rig, &rig.first.admin_email, "wrong").await.status, 403);
        assert_eq!(sign_in(&rig, &rig.first.admin_email, "wrong").await.status, 403);
        assert_eq!(reveal("wrong").await, 403);
        assert_eq!(change("wrong").await, 400);
        assert_eq!(
            reveal(&rig.first.admin_password).await,
            if nth < 4 { 303 } else { 429 },
            "a right one is no try"
        );
    }
    assert_eq!(change(&rig.first.admin_password).await, 429);
    assert_eq!(sign_in(&rig, &rig.first.admin_email, &rig.first.admin_password).await.status, 429);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_and_their_failures_are_in_the_audit_log_and_a_flood_of_them_is_not() {
    let rig = Rig::start().await;
    admin(&rig).await;
    for _ in 0..12 {
        sign_in(&rig, &rig.first.admin_email, "wrong").await;
        sign_in(&rig, "nobody@example.com", "wrong").await;
    }
    // What is noted after the reply is there once the server has stopped.
    let rig = rig.restart(|_| {}).await;
    let page = rig.get("/api/v1/audit").await;
    let rows: Vec<(String, String)> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["action"].as_str().unwrap().to_owned(), row["subject"].as_str().unwrap().to_owned()))
        .collect();
    let actions: Vec<&str> = rows.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["password.throttle", "password.wrong", "session.open"]);
    assert!(rows.iter().all(|(_, subject)| subject.ends_with("from 127.0.0.1")), "{rows:?}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_session_that_ends_is_told_to_have_ended() {
    let rig = Rig::start().await;
    let (cookie, _elsewhere) = (admin(&rig).await, admin(&rig).await);
    let page = get(&rig, "/dashboard/account", &cookie).await;
    let token = token_in(&page);
    let page = text(&page);
    let session = page.split("name=\"session\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let end = async |session: &str| {
        let pairs = [("token", token.as_str()), ("session", session)];
        post(&rig, "/dashboard/account/sessions", &cookie, &pairs).await.status
    };
    assert_eq!(end("ses_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f").await, 404);
    assert_eq!((end(session).await, end(session).await), (303, 404));
    let rows = rig.get("/api/v1/audit").await;
    let closed =
        rows["items"].as_array().unwrap().iter().filter(|row| row["action"] == "session.close").count();
    assert_eq!(closed, 1);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_began_at_a_very_long_address_leads_home() {
    let rig = Rig::start().await;
    let leads = async |bytes: usize| {
        let asked = format!("/dashboard/leads?q={}", "x".repeat(bytes - "/dashboard/leads?q=".len()));
        let login = get(&rig, &asked, "").await.headers["location"].to_str().unwrap().to_owned();
        let page = text(&get(&rig, &format!("/dashboard/login?next={asked}"), "").await);
        let (email, password) = (rig.first.admin_email.as_str(), rig.first.admin_password.as_str());
        let pairs = [("email", email), ("password", password), ("next", &asked)];
        let location = post(&rig, "/dashboard/login", "", &pairs).await.headers["location"].clone();
        (login.contains("next="), page.contains("name=\"next\""), location == asked.as_str())
    };
    assert_eq!(leads(1_024).await, (true, true, true));
    assert_eq!(leads(1_025).await, (false, false, false));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_longer_than_any_address_is_refused_before_it_is_looked_at() {
    let rig = Rig::start().await;
    for _ in 0..40 {
        assert_eq!(sign_in(&rig, &"a".repeat(255), "wrong").await.status, 400, "and counts for nothing");
    }
    assert_eq!(sign_in(&rig, &"a".repeat(254), "wrong").await.status, 403);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_send_short_forms_only() {
    let rig = Rig::start().await;
    let long = "x".repeat(4_090);
    let padded = |pad: usize| encoded(&[("email", "a@example.com"), ("pad", &long[..pad])]);
    for path in ["/dashboard/login", "/dashboard/invitation/afi_x"] {
        let answer = rig.send(Method::POST, path, ours(""), padded(4_090)).await;
        assert_eq!(answer.status, 413, "{path}");
        let answer = rig.send(Method::POST, path, ours(""), padded(4_000)).await;
        assert!(matches!(answer.status, 400 | 403), "{path}: {}", answer.status);
    }
    let cookie = admin(&rig).await;
    let token = token_in(&get(&rig, "/dashboard/account", &cookie).await);
    let answer = post(&rig, "/dashboard/logout", &cookie, &[("token", &token), ("pad", &long)]).await;
    assert_eq!(answer.status, 303, "whoever is signed in may send more");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_fetch_metadata_signs_in_by_http_2() {
    let rig = Rig::start().await;
    let ask = |origin: &str| {
        let body = encoded(&[("email", &rig.first.admin_email), ("password", &rig.first.admin_password)]);
        let request = Request::post("https://localhost/dashboard/login").header("origin", origin);
        rig.send_by_http2(request.header("content-type", FORM).body(Bytes::from(body)).unwrap())
    };
    assert_eq!(ask("https://localhost").await, 303);
    assert_eq!(ask("https://localhost:1").await, 403);
    assert_eq!(ask("https://evil.example").await, 403);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_left_open_keeps_no_session_alive() {
    let (rig, clock) = driven().await;
    let (cookie, id) = (admin(&rig).await, rig.lead(crate::rig::lead_of("Jordan")).await);
    let presence = format!("/dashboard/review/{}/presence", id["lead_id"].as_str().unwrap());
    for _ in 0..2 {
        clock.advance(minutes(14));
        assert_eq!(get(&rig, &presence, &cookie).await.status, 200);
        let live = headers(&[("cookie", &cookie)]);
        assert_eq!(rig.begin(Method::GET, "/dashboard/inbound/live", live, "").await.status, 200);
    }
    clock.advance(minutes(2));
    assert_eq!(
        get(&rig, &presence, &cookie).await.status,
        303,
        "half an hour since the operator did anything"
    );
    assert_eq!(get(&rig, "/dashboard/account", &cookie).await.status, 303);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_has_so_many_live_tails_open_at_most() {
    let rig = Rig::start().await;
    let cookie = admin(&rig).await;
    let body = json!({"email": "o@example.com", "role": "operator", "password": PASSWORD});
    rig.call("POST", "/api/v1/operators", body).await.expect(201);
    let other = cookie_of(&sign_in(&rig, "o@example.com", PASSWORD).await);
    let open_as =
        |cookie: &str| rig.begin(Method::GET, "/dashboard/inbound/live", headers(&[("cookie", cookie)]), "");
    let open = || open_as(&cookie);
    let mut tails = join_all((0..4).map(|_| open())).await;
    assert!(tails.iter().all(|tail| tail.status == 200));
    let refused = open().await;
    assert_eq!((refused.status, &refused.headers["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(open_as(&other).await.status, 200, "another operator's");
    drop(tails.pop());
    // Free as soon as the server has noticed.
    while open().await.status != 200 {}
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_ends_with_its_session() {
    let rig = Rig::start().await;
    let cookie = admin(&rig).await;
    let token = token_in(&get(&rig, "/dashboard/account", &cookie).await);
    let live = headers(&[("cookie", &cookie)]);
    let mut tail = rig.begin(Method::GET, "/dashboard/inbound/live", live, "").await;
    assert!(tail.next().await.is_some());
    assert_eq!(post(&rig, "/dashboard/logout", &cookie, &[("token", &token)]).await.status, 303);
    let mut after = 0;
    while tail.next().await.is_some() {
        after += 1;
    }
    // It says something every second, for fifteen; one piece may have been on its way.
    assert!(after <= 2, "{after}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_is_decided_once_however_often_it_is_ticked_or_clicked() {
    let rig = Rig::start().await;
    let cookie = admin(&rig).await;
    let (id, mut form) = pick(&rig, &cookie, "Jordan").await;
    form.push(("pick", format!("{id}.1")));
    assert_eq!(decide(&rig, &cookie, &form).await.status, 303, "ticked twice");
    assert_eq!(decide(&rig, &cookie, &form).await.status, 303, "clicked twice");
    let refused = async |form: &[(&'static str, String)]| {
        let answer = decide(&rig, &cookie, form).await;
        assert_eq!(answer.status, 200);
        assert!(text(&answer).contains("you have decided this lead already; take that back first."));
    };
    form.push(("note", "on second thoughts".to_owned()));
    refused(&form).await;
    form.pop();
    form[1].1 = "rejected".to_owned();
    refused(&form).await;

    let body = json!({"email": "o@example.com", "role": "operator", "password": PASSWORD});
    rig.call("POST", "/api/v1/operators", body).await.expect(201);
    let other = cookie_of(&sign_in(&rig, "o@example.com", PASSWORD).await);
    form[0].1 = token_in(&get(&rig, "/dashboard/account", &other).await);
    form[1].1 = "approved".to_owned();
    let taken = decide(&rig, &other, &form).await;
    assert!(text(&taken).contains("somebody is deciding this lead"), "{}", text(&taken));
    let rig = rig.restart(|_| {}).await;
    let lead = rig.get(&format!("/api/v1/leads/{id}")).await;
    assert_eq!((&lead["state"], &lead["version"]), (&json!("qualified"), &json!(2)));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lead_that_is_gone_is_told_of_and_the_others_are_decided() {
    let rig = Rig::start().await;
    let cookie = admin(&rig).await;
    let (id, mut form) = pick(&rig, &cookie, "Jordan").await;
    let gone = "lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f";
    form.push(("pick", format!("{gone}.1")));
    let answer = decide(&rig, &cookie, &form).await;
    let page = text(&answer);
    assert_eq!(answer.status, 200);
    assert!(
        page.contains(gone) && page.contains("no such lead") && page.contains("1 other lead went through")
    );
    for nth in 0..99 {
        form.push(("pick", format!("lead_{nth:032x}.1")));
    }
    let answer = decide(&rig, &cookie, &form).await;
    assert!(answer.status == 400 && text(&answer).contains("At most 100"), "{}", answer.status);
    let rig = rig.restart(|_| {}).await;
    assert_eq!(rig.get(&format!("/api/v1/leads/{id}")).await["state"], "qualified");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_that_is_used_or_over_shows_no_form() {
    let (rig, clock) = driven().await;
    let invite = async |email: &str| {
        let body = json!({"email": email, "role": "viewer"});
        let made = rig.call("POST", "/api/v1/operators", body).await.expect(201);
        format!("/dashboard/invitation/{}", made["invitation"]["token"].as_str().unwrap())
    };
    let (used, over) = (invite("a@example.com").await, invite("b@example.com").await);
    let page = get(&rig, &used, "").await;
    assert!(page.status == 200 && text(&page).contains("<form"));
    let accepted = post(&rig, &used, "", &[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert_eq!(accepted.status, 303);
    assert_eq!(get(&rig, "/dashboard/account", &cookie_of(&accepted)).await.status, 200);
    clock.advance(minutes(7 * 24 * 60));
    for path in [&used, &over] {
        let page = get(&rig, path, "").await;
        assert!(page.status == 404 && !text(&page).contains("<form"), "{path}");
        assert!(text(&page).contains("was used or replaced, or its time is over"));
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_role_voids_the_invitation_and_says_so() {
    let rig = Rig::start().await;
    let cookie = admin(&rig).await;
    let token = token_in(&get(&rig, "/dashboard/account", &cookie).await);
    let body = json!({"email": "v@example.com", "role": "viewer"});
    let made = rig.call("POST", "/api/v1/operators", body).await.expect(201);
    let invitation = format!("/dashboard/invitation/{}", made["invitation"]["token"].as_str().unwrap());
    let path = format!("/dashboard/settings/operators/{}", made["id"].as_str().unwrap());
    assert_eq!(post(&rig, &path, &cookie, &[("token", &token), ("role", "operator")]).await.status, 303);
    let page = text(&get(&rig, "/dashboard/settings/operators", &cookie).await);
    assert!(
        page.contains(
            "v@example.com is an operator now. The invitation from before is void: make a new one."
        )
    );
    assert_eq!(get(&rig, &invitation, "").await.status, 404);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gives_power_away_asks_for_the_password_again() {
    let rig = Rig::start().await;
    let cookie = admin(&rig).await;
    let token = token_in(&get(&rig, "/dashboard/account", &cookie).await);
    let body = json!({"email": "o@example.com", "role": "operator", "password": PASSWORD});
    let operator = rig.call("POST", "/api/v1/operators", body).await.expect(201)["id"].clone();
    let body = json!({"email": "a@example.com", "role": "admin", "password": PASSWORD});
    let second = rig.call("POST", "/api/v1/operators", body).await.expect(201)["id"].clone();
    let promote = format!("/dashboard/settings/operators/{}", operator.as_str().unwrap());
    let invite_again = format!("/dashboard/settings/operators/{}/invite", second.as_str().unwrap());
    let invite_operator = format!("{promote}/invite");
    let acts: [(&str, &[(&str, &str)]); 8] = [
        ("/dashboard/settings/secrets/inbound/rotate", &[("overlap", "24")]),
        ("/dashboard/settings/secrets/outbound/rotate", &[("overlap", "24"), ("after", "0")]),
        ("/dashboard/settings/inbound/endpoint", &[("sure", "yes")]),
        ("/dashboard/settings/tokens", &[("name", "deploys"), ("role", "viewer")]),
        ("/dashboard/settings/operators", &[("email", "n@example.com"), ("role", "admin")]),
        (&invite_operator, &[]),
        (&promote, &[("role", "admin")]),
        (&invite_again, &[]),
    ];
    let rows = async || rig.get("/api/v1/audit").await["items"].as_array().unwrap().len();
    for (path, fields) in acts {
        let before = rows().await;
        let with = |more: &[(&'static str, String)]| {
            let mut form = vec![("token", token.clone())];
            form.extend_from_slice(more);
            let mut pairs: Vec<(&str, &str)> =
                form.iter().map(|(name, value)| (*name, value.as_str())).collect();
            pairs.extend_from_slice(fields);
            encoded(&pairs)
        };
        let send = async |form: String| rig.send(Method::POST, path, ours(&cookie), form).await;
        let asked = send(with(&[])).await;
        let page = text(&asked);
        assert_eq!(asked.status, 200, "{path}");
        assert!(
            page.contains("Your password, please") && page.contains(&format!("action=\"{path}\"")),
            "{path}"
        );
        for (name, value) in fields {
            assert!(page.contains(&format!("name=\"{name}\" value=\"{value}\"")), "{path}: {name}");
        }
        assert_eq!(rows().await, before, "{path}: nothing is done yet");
        let answer = send(with(&[("password", rig.first.admin_password.clone())])).await;
        assert!(matches!(answer.status, 200 | 303), "{path}: {}", answer.status);
        assert!(!text(&answer).contains("Your password, please"), "{path}");
        assert!(rows().await > before, "{path}: done");
    }
    let wrong = [("token", token.as_str()), ("sure", "yes"), ("password", "wrong")];
    let answer = post(&rig, "/dashboard/settings/inbound/endpoint", &cookie, &wrong).await;
    assert!(answer.status == 403 && text(&answer).contains("This is not your password."));
    rig.stop().await;
}
