//! What the dashboard says where something was not done, and where nothing will be: in which words, and on which page.

use http::Method;
use serde_json::{Value, json};

use crate::dashboard::{PASSWORD, cookie_of, encoded, get, ours, sign_in};
use crate::dashboard_pages::{Browser, destination, lead_in_review, text};
use crate::rig::Rig;

const UNDONE: &str = "Your session had ended, and what you sent was not done.";
const OPERATORS: &str = "/dashboard/settings/operators";
const TOKENS: &str = "/dashboard/settings/tokens";

#[tokio::test(flavor = "multi_thread")]
async fn a_change_after_the_sessions_end_is_told_to_be_undone_and_leads_back_to_its_place() {
    let rig = Rig::start().await;
    let check = async |cookie: &str, path: &str, place: &str| {
        let sent = rig.send(Method::POST, path, ours(cookie), encoded(&[("token", "x")])).await;
        let login = sent.headers["location"].to_str().unwrap();
        let expected = format!("/dashboard/login?{}", encoded(&[("next", place), ("undone", "yes")]));
        assert_eq!((sent.status, login), (303, expected.as_str()), "{path}");
        let page = text(&get(&rig, login, "").await);
        assert!(
            page.contains(UNDONE) && page.contains(&format!("name=\"next\" value=\"{place}\"")),
            "{page}"
        );
        let (email, password) = (rig.first.admin_email.as_str(), rig.first.admin_password.as_str());
        let form = encoded(&[("email", email), ("password", password), ("next", place)]);
        let entered = rig.send(Method::POST, "/dashboard/login", ours(""), form).await;
        assert_eq!(entered.headers["location"], place);
        assert_eq!(get(&rig, place, &cookie_of(&entered)).await.status, 200, "{place}");
    };
    check("", "/dashboard/review/decide", "/dashboard/review").await;
    check("__Host-agentflow=over", "/dashboard/settings/delivery", "/dashboard/settings").await;
    check("", "/dashboard/settings/tokens/tok_1/delete?next=//evil.example", "/dashboard/settings").await;
    check("", "/dashboard/destinations/x/delete", "/dashboard/destinations").await;
    check("", "/dashboard/account/password", "/dashboard/account").await;
    let left = rig.send(Method::POST, "/dashboard/logout", ours(""), "").await;
    assert_eq!(left.headers["location"], "/dashboard/login", "whoever leaves has left");
    let page = text(&get(&rig, "/dashboard/login?undone=%3Ci%3Eforeign", "").await);
    assert!(page.contains(UNDONE) && !page.contains("foreign"), "{page}");
    assert!(!text(&get(&rig, "/dashboard/login", "").await).contains(UNDONE));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_leads_back_to_the_page_of_its_place_where_that_may_be_seen() {
    let rig = Rig::start().await;
    let body = json!({"email": "v@example.com", "role": "viewer", "password": PASSWORD});
    rig.call("POST", "/api/v1/operators", body).await.expect(201);
    let viewer = cookie_of(&sign_in(&rig, "v@example.com", PASSWORD).await);
    let browser = Browser::open(&rig).await;
    let check = async |cookie: &str, path: &str, expected: &str| {
        let page = text(&get(&rig, path, cookie).await);
        assert!(page.contains(expected) && page.contains("data-fault"), "{path}: {page}");
    };
    check(&browser.cookie, "/dashboard/leads/lead_0", "<a href=\"/dashboard/leads\">Back to Leads</a>").await;
    check(&browser.cookie, "/dashboard/account/password", "\"/dashboard/account\">Back to your account</a>")
        .await;
    check(&browser.cookie, "/dashboard/nonsense", "<a href=\"/dashboard\">To the dashboard</a>").await;
    check(&viewer, "/dashboard/settings", "<a href=\"/dashboard\">To the dashboard</a>").await;
    let page = text(&browser.post("/dashboard/settings/inbound/endpoint", &[]).await);
    assert!(page.contains("<a href=\"/dashboard/settings\">Back to Settings</a>"), "{page}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_of_accounts_and_tokens_is_told_on_their_pages() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    let me = rig.get("/api/v1/operators").await["items"][0]["id"].as_str().unwrap().to_owned();
    let check = async |path: &str, field: (&str, &str), page: &str, told: &str| {
        let answer = browser.post(path, &[field]).await;
        assert_eq!((answer.status, answer.headers["location"].to_str().unwrap()), (303, page), "{path}");
        let shown = browser.get(page).await;
        assert!(shown.contains(&format!("<p class=\"notice bad\">{told}</p>")), "{path}: {shown}");
    };
    let last = "Sorry: the workspace would have no admin left. Make somebody else an admin first.";
    check(&format!("{OPERATORS}/{me}"), ("role", "viewer"), OPERATORS, last).await;
    check(&format!("{OPERATORS}/{me}/delete"), ("sure", "yes"), OPERATORS, last).await;
    let body = json!({"email": "v@example.com", "role": "viewer", "password": PASSWORD});
    let other = rig.call("POST", "/api/v1/operators", body).await.expect(201);
    let delete = format!("{OPERATORS}/{}/delete", other["id"].as_str().unwrap());
    assert!(browser.follow(&delete, &[("sure", "yes")]).await.contains("The account is deleted."));
    let gone = "Nothing was done: this person's account was deleted before.";
    check(&delete, ("sure", "yes"), OPERATORS, gone).await;
    for what in ["", "/invite", "/factor"] {
        check(&delete.replace("/delete", what), ("role", "operator"), OPERATORS, gone).await;
    }
    let token = rig.call("POST", "/api/v1/tokens", json!({"name": "t", "role": "viewer"})).await.expect(201);
    let revoke = format!("{TOKENS}/{}/delete", token["id"].as_str().unwrap());
    assert!(browser.follow(&revoke, &[("sure", "yes")]).await.contains("The token is revoked."));
    check(&revoke, ("sure", "yes"), TOKENS, "This token was revoked before.").await;
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_go_nowhere_are_told_of_and_what_to_do_about_it() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    let body = json!({"email": "v@example.com", "role": "viewer", "password": PASSWORD});
    rig.call("POST", "/api/v1/operators", body).await.expect(201);
    let viewer = cookie_of(&sign_in(&rig, "v@example.com", PASSWORD).await);
    let overview = "/dashboard/overview";
    let (none, link) =
        ("No destination: events are not sent", "<a href=\"/dashboard/destinations\">Add one</a>");
    let page = browser.get(overview).await;
    assert!(page.contains(none) && page.contains(link), "{page}");
    let page = text(&get(&rig, overview, &viewer).await);
    assert!(
        page.contains(none) && page.contains("Ask an admin to add one.") && !page.contains(link),
        "{page}"
    );

    let lead = lead_in_review(&rig, "Nowhere").await;
    let event = event_of(&browser.get(&format!("/dashboard/leads/{lead}")).await);
    let to = destination(&rig, "https://127.0.0.1:9/hook").await;
    assert!(!browser.get(overview).await.contains("events are not sent"));
    let unwanted = "No destination wanted this event when it was made.";
    let of_one = format!("/dashboard/outbound?event={event}");
    let page = browser.get(&of_one).await;
    assert!(page.contains(unwanted) && page.contains("Deliveries of one event."), "{page}");
    let page = browser.get(&format!("{of_one}&state=dead")).await;
    assert!(!page.contains(unwanted), "under another filter there may be some: {page}");
    assert!(
        page.contains("<a href=\"/dashboard/outbound?state=dead\">Show those of all events</a>"),
        "{page}"
    );
    let unknown = browser.get("/dashboard/outbound?event=evt_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f").await;
    assert!(!unknown.contains(unwanted), "nothing is known of it");
    assert!(!browser.get("/dashboard/outbound").await.contains("of one event"));

    let disable = format!("/dashboard/destinations/{to}/disable");
    browser.follow(&disable, &[("sure", "yes")]).await;
    let page = browser.get(overview).await;
    assert!(page.contains("No destination is enabled: events") && page.contains(">Enable one</a>"), "{page}");
    rig.stop().await;
}

/// The event that a lead's page links to.
fn event_of(page: &str) -> String {
    let at = page.find("/dashboard/outbound?event=").expect("an event") + "/dashboard/outbound?event=".len();
    page[at..].split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_offered_to_be_sent_again_where_there_are_any() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    let once = [("retry_schedule_seconds", "0"), ("duplicate_window_seconds", "700")];
    browser.follow("/dashboard/settings/delivery", &once).await;
    let offered = "Send the dead letters among these again…";
    let to = destination(&rig, "https://127.0.0.1:9/hook").await;
    browser.follow(&format!("/dashboard/destinations/{to}/pause"), &[]).await;
    lead_in_review(&rig, "Waiting").await;
    let page = browser.get("/dashboard/outbound").await;
    assert!(page.contains("Waiting</a>") && !page.contains(offered), "{page}");
    // Nothing listens there, and it is tried once.
    browser.follow(&format!("/dashboard/destinations/{to}/resume"), &[]).await;
    let dead = loop {
        let found = rig.get("/api/v1/deliveries").await["items"][0].clone();
        if found["state"] == "dead" {
            break found;
        }
    };
    assert!(browser.get("/dashboard/outbound").await.contains(offered));
    let path = format!("/dashboard/outbound/{}", dead["id"].as_str().unwrap());
    let page = browser.get(&path).await;
    assert!(page.contains("Attempt 1") && !page.contains("<p class=\"hint\"> ·"), "{page}");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_wrong_with_thresholds_is_marked() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    let both = [("auto_approve_at", "101"), ("auto_reject_below", "30")];
    let page = text(&browser.post("/dashboard/settings", &both).await);
    assert!(
        page.contains("id=\"wrong-auto_approve_at\"") && !page.contains("wrong-auto_reject_below"),
        "{page}"
    );
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_sooner_than_before_wants_a_tick() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    let save = async |days: &str, sure: bool| {
        let mut form = vec![
            ("retry_schedule_seconds", "0, 60"),
            ("retention_days", days),
            ("duplicate_window_seconds", "700"),
        ];
        if sure {
            form.push(("sure", "yes"));
        }
        browser.post("/dashboard/settings/delivery", &form).await
    };
    let asked = save("1", false).await;
    let page = text(&asked);
    assert!(
        asked.status == 400
            && page.contains("deleted for good one day after they were closed")
            && page.contains("name=\"sure\""),
        "{page}"
    );
    assert!(page.contains("name=\"retention_days\" value=\"1\""), "{page}");
    assert_eq!(rig.get("/api/v1/settings").await["retention_days"], Value::Null);
    assert_eq!(save("30", true).await.status, 303);
    for (days, status) in [("29", 400), ("30", 303), ("31", 303), ("30", 400), ("", 303)] {
        assert_eq!(save(days, false).await.status, status, "{days}");
    }
    rig.stop().await;
}
