//! What the dashboard's pages say and do, over HTTPS, without a browser.

use http::Method;
use serde_json::{Value, json};

use crate::dashboard::{admin, encoded, get, headers, ours, token_in};
use crate::rig::{Answer, Rig, lead_of};

/// An admin's browser without script.
pub(crate) struct Browser<'a> {
    rig: &'a Rig,
    pub(crate) cookie: String,
    token: String,
}

impl<'a> Browser<'a> {
    pub(crate) async fn open(rig: &'a Rig) -> Self {
        let cookie = admin(rig).await;
        let token = token_in(&get(rig, "/dashboard/account", &cookie).await);
        Self { rig, cookie, token }
    }

    pub(crate) async fn get(&self, path: &str) -> String {
        let answer = get(self.rig, path, &self.cookie).await;
        assert_eq!(answer.status, 200, "{path}");
        text(&answer)
    }

    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut form = vec![("token", self.token.as_str())];
        form.extend(fields);
        self.rig.send(Method::POST, path, ours(&self.cookie), encoded(&form)).await
    }

    /// Posts a form and follows it to its page.
    pub(crate) async fn follow(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.post(path, fields).await;
        assert_eq!(answer.status, 303, "{path}: {}", text(&answer));
        self.get(answer.headers["location"].to_str().unwrap()).await
    }
}

pub(crate) fn text(answer: &Answer) -> String {
    String::from_utf8(answer.bytes.to_vec()).unwrap()
}

pub(crate) async fn destination(rig: &Rig, url: &str) -> String {
    let body = json!({"url": url, "event_types": ["lead.qualified", "lead.review_requested"]});
    let made = rig.call("POST", "/api/v1/destinations", body).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

/// A lead that waits in review.
pub(crate) async fn lead_in_review(rig: &Rig, name: &str) -> String {
    let mut lead = lead_of(name);
    lead["message"] = "Hi, tell me more.".into();
    let id = rig.lead(lead).await["lead_id"].as_str().unwrap().to_owned();
    assert_eq!(rig.get(&format!("/api/v1/leads/{id}")).await["state"], "in_review");
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_form_did_is_told_once_and_not_to_a_head_request() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    let path = format!("/dashboard/destinations/{}", destination(&rig, "https://hooks.example.com/").await);
    let answer = browser.post(&format!("{path}/pause"), &[]).await;
    assert_eq!((answer.status, answer.headers["location"].to_str().unwrap()), (303, path.as_str()));
    let other = Browser::open(&rig).await;
    let paused = "Destination paused.";
    assert!(!other.get(&path).await.contains(paused), "another session's");
    let head = rig.send(Method::HEAD, &path, headers(&[("cookie", &browser.cookie)]), "").await;
    assert_eq!(head.status, 200);
    assert!(browser.get(&path).await.contains(paused));
    assert!(!browser.get(&path).await.contains(paused));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_shown_by_the_page_after_the_form_and_once() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    let made = [("name", "CRM import"), ("role", "viewer"), ("password", rig.first.admin_password.as_str())];
    let shown = browser.follow("/dashboard/settings/tokens", &made).await;
    let at = shown.find("aft_").expect("the new token");
    let fresh: String = shown[at..].chars().take_while(|letter| *letter != '<').collect();
    assert_eq!(rig.call_as(Some(&fresh), "GET", "/api/v1/leads", Value::Null).await.status, 200);
    assert!(!browser.get("/dashboard/settings/tokens").await.contains("aft_"));

    let password = [("password", rig.first.admin_password.as_str())];
    let answer = browser.post("/dashboard/settings/secrets/inbound/reveal", &password).await;
    assert_eq!(answer.headers["location"], "/dashboard/settings/inbound");
    for other in ["/dashboard/settings/tokens", "/dashboard/account"] {
        assert!(!browser.get(other).await.contains(&rig.first.inbound_secret), "{other}, in another tab");
    }
    let shown = browser.get("/dashboard/settings/inbound").await;
    assert!(shown.contains(&rig.first.inbound_url) && shown.contains(&rig.first.inbound_secret));
    assert!(!browser.get("/dashboard/settings/inbound").await.contains(&rig.first.inbound_secret));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_list_fills_its_commands_in_for_whoever_knows_the_password() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    let page = browser.get("/dashboard/review").await;
    assert!(page.contains("read -rsp") && page.contains("--cacert"), "{page}");
    assert!(!page.contains(&rig.first.inbound_url) && !page.contains(&rig.first.inbound_secret));
    let reveal = "/dashboard/settings/secrets/inbound/reveal";
    let form = [("password", rig.first.admin_password.as_str()), ("for", "/dashboard/review")];
    let page = browser.follow(reveal, &form).await;
    let lines: Vec<&str> = page.match_indices("(secret=").map(|(at, _)| &page[at..]).collect();
    assert_eq!(lines.len(), 2);
    let mut states = Vec::new();
    for line in lines {
        let line = line.split("</pre>").next().unwrap();
        let line =
            line.replace("&quot;", "\"").replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&");
        let run = move || std::process::Command::new("bash").args(["-c", &line]).output();
        let sent = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
        let reply: Value = serde_json::from_slice(&sent.stdout).unwrap_or_else(|_| panic!("{sent:?}"));
        let lead = rig.get(&format!("/api/v1/leads/{}", reply["lead_id"].as_str().unwrap())).await;
        states.push(lead["state"].clone());
    }
    assert_eq!(states, ["qualified", "in_review"]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_page_the_navigation_stays() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    let check = async |method: Method, path: &str, status: u16, says: &str| {
        let answer = rig.send(method, path, ours(&browser.cookie), "").await;
        let page = text(&answer);
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8");
        assert!(page.contains(says) && page.contains("aria-label=\"Sections\""), "{path}: {page}");
        answer
    };
    check(Method::GET, "/dashboard/nonsense", 404, "No page has this address").await;
    check(Method::GET, "/dashboard/settings/inbound/nonsense", 404, "No page has this address").await;
    check(Method::GET, "/dashboard/leads/lead_0", 404, "There is no such lead").await;
    check(Method::GET, "/dashboard/leads/%FF", 404, "No page has this address").await;
    let answer = check(Method::GET, "/dashboard/review/decide", 405, "for a form").await;
    assert_eq!(answer.headers["allow"], "POST");
    check(Method::PUT, "/dashboard/overview", 405, "for a form").await;
    let stranger = get(&rig, "/dashboard/nonsense", "").await;
    assert_eq!(stranger.status, 303, "strangers learn nothing of which pages there are");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_cannot_be_used_says_so_at_the_field_and_keeps_what_was_typed() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    let check = async |path: &str, fields: &[(&str, &str)], wrong: &str, kept: &str| {
        let answer = browser.post(path, fields).await;
        let page = text(&answer);
        assert_eq!(answer.status, 400, "{path}");
        let marked = format!("aria-describedby=\"wrong-{wrong}\"");
        let told = format!("id=\"wrong-{wrong}\"");
        assert!(page.contains(&told) && page.contains(&marked), "{path}: {page}");
        assert!(page.contains(kept), "{path}: {page}");
    };
    let rotate = "/dashboard/settings/secrets/outbound/rotate";
    check(rotate, &[("after", "12"), ("overlap", "")], "overlap", "value=\"12\"").await;
    check(rotate, &[("after", "x"), ("overlap", "24")], "after", "value=\"x\"").await;
    check("/dashboard/settings/secrets/inbound/rotate", &[("overlap", "721")], "overlap", "value=\"721\"")
        .await;
    let thresholds = [("auto_approve_at", "20"), ("auto_reject_below", "40")];
    check("/dashboard/settings", &thresholds, "auto_reject_below", "value=\"20\"").await;
    let delivery = [("retry_schedule_seconds", "0, soon"), ("duplicate_window_seconds", "700")];
    check("/dashboard/settings/delivery", &delivery, "retry_schedule_seconds", "value=\"700\"").await;
    let made = [("url", "http://plain.example"), ("event_types", "lead.qualified"), ("per_second", "7")];
    check("/dashboard/destinations", &made, "url", "value=\"7\"").await;
    check("/dashboard/settings/operators", &[("email", "nobody"), ("role", "viewer")], "email", "nobody")
        .await;
    check("/dashboard/settings/tokens", &[("name", ""), ("role", "admin")], "name", "selected>admin").await;
    let (change, other) = ("/dashboard/account/password", "another one, long enough");
    for (present, password, again, wrong) in [
        ("not it", other, other, "present"),
        (rig.first.admin_password.as_str(), "short", "short", "password"),
        (rig.first.admin_password.as_str(), other, "mistyped", "again"),
    ] {
        let fields = [("present", present), ("password", password), ("again", again)];
        check(change, &fields, wrong, "Where you are signed in").await;
    }
    let secrets = rig.get("/api/v1/secrets").await;
    assert_eq!(secrets["items"].as_array().unwrap().len(), 2, "no secret was replaced");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_back_wants_a_tick() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    let id = destination(&rig, "https://hooks.example.com/").await;
    let token =
        rig.call("POST", "/api/v1/tokens", json!({"name": "old", "role": "viewer"})).await.expect(201);
    let revoke = format!("/dashboard/settings/tokens/{}/delete", token["id"].as_str().unwrap());
    let endpoint = "/dashboard/settings/inbound/endpoint".to_owned();
    let delete = format!("/dashboard/destinations/{id}/delete");
    for path in [&endpoint, &delete, &revoke, &format!("/dashboard/destinations/{id}/disable")] {
        let answer = browser.post(path, &[]).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(text(&answer).contains("tick that you are sure"));
    }
    rig.lead(lead_of("Still")).await;
    assert_eq!(rig.get("/api/v1/destinations").await["items"][0]["enabled"], true);
    let again = [("url", "https://hooks.example.com"), ("event_types", "lead.qualified")];
    let answer = browser.post("/dashboard/destinations", &again).await;
    assert!(answer.status == 400 && text(&answer).contains("Events would go there twice."));
    let again = [again[0], again[1], ("sure", "yes")];
    assert_eq!(browser.post("/dashboard/destinations", &again).await.status, 303);
    let twice = rig.get("/api/v1/destinations").await;
    let twice = twice["items"].as_array().unwrap().iter().map(|to| to["id"].as_str().unwrap());
    for path in twice.map(|id| format!("/dashboard/destinations/{id}/delete")) {
        assert_eq!(browser.post(&path, &[("sure", "yes")]).await.status, 303, "{path}");
    }
    assert_eq!(browser.post(&revoke, &[("sure", "yes")]).await.status, 303);
    assert_eq!(rig.get("/api/v1/destinations").await["items"], json!([]));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_is_posted_and_changes_nothing() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    lead_in_review(&rig, "Previewed").await;
    let page = browser.get("/dashboard/settings").await;
    assert!(!page.contains("formmethod"), "the form's token goes into no address");
    let form = [("auto_approve_at", "31"), ("auto_reject_below", "30"), ("preview", "yes")];
    let answer = browser.post("/dashboard/settings", &form).await;
    assert_eq!(answer.status, 200);
    let page = text(&answer);
    assert!(page.contains("<td class=\"number\">+1</td>") && page.contains("value=\"31\""), "{page}");
    assert_eq!(rig.get("/api/v1/settings").await["auto_approve_at"], 80);
    let saved = browser.follow("/dashboard/settings", &form[..2]).await;
    assert!(saved.contains("applies to new leads; 1 in review would be decided by it now."), "{saved}");
    assert_eq!(rig.get("/api/v1/settings").await["auto_approve_at"], 31);

    let page = browser.get("/dashboard/audit?action=settings.change").await;
    assert!(page.contains("changed settings") && page.contains("<del>80</del> → <ins>31</ins>"), "{page}");
    assert!(!page.contains("signed in</span>"), "filtered");
    assert!(browser.get("/dashboard/audit?action=nothing").await.contains("Nothing is like this"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_told_with_its_lead_and_can_be_cancelled() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    // Nothing listens there: the first attempt fails and the delivery waits.
    let id = destination(&rig, "https://127.0.0.1:9/hook").await;
    lead_in_review(&rig, "Waiting").await;
    let waits = async || {
        loop {
            let found = rig.get("/api/v1/deliveries").await["items"][0].clone();
            let whole = rig.get(&format!("/api/v1/deliveries/{}", found["id"].as_str().unwrap())).await;
            if whole["attempts"] != json!([]) {
                break whole;
            }
        }
    };
    let delivery = waits().await;
    let page = browser.get("/dashboard/outbound").await;
    assert!(page.contains("waiting@stacklane.co") && page.contains("Waiting</a>"), "{page}");
    let code = delivery["attempts"][0]["error"].as_str().unwrap().split(':').next().unwrap().to_owned();
    assert!(page.contains(&format!(">{code}</span>")), "{code}: {page}");

    let path = format!("/dashboard/outbound/{}", delivery["id"].as_str().unwrap());
    let page = browser.get(&path).await;
    assert!(page.contains("  &quot;type&quot;: &quot;lead.review_requested&quot;,"), "pretty: {page}");
    assert!(page.contains("{&quot;id&quot;:&quot;evt_"), "and byte for byte");
    assert_eq!(browser.post(&format!("{path}/cancel"), &[]).await.status, 400);
    let page = browser.follow(&format!("{path}/cancel"), &[("sure", "yes")]).await;
    assert!(page.contains("Delivery cancelled.") && page.contains("an operator cancelled it"), "{page}");
    assert!(
        browser.follow(&format!("{path}/cancel"), &[("sure", "yes")]).await.contains("It was over before")
    );

    let resend = "/dashboard/outbound/resend";
    for unknown in [("state", "lost"), ("event", "evt_1"), ("destination", "x"), ("event_type", "lead.new")] {
        let answer = browser.post(resend, &[unknown, ("confirmed", "yes")]).await;
        assert_eq!(answer.status, 400);
        assert!(text(&answer).contains(&format!("there is no {}", unknown.0.replace('_', " "))));
    }
    let event = delivery["event_id"].as_str().unwrap();
    let kept = [("state", "cancelled"), ("event", event), ("destination", id.as_str())];
    let asked = browser.post(resend, &kept).await;
    assert_eq!(asked.status, 200);
    assert!(text(&asked).contains(&format!("name=\"event\" value=\"{event}\"")));
    let confirmed = [kept[0], kept[1], kept[2], ("confirmed", "yes")];
    assert!(browser.follow(resend, &confirmed).await.contains("1 delivery on the way again."));

    let cancel = "/dashboard/outbound/cancel";
    assert_eq!(browser.post(cancel, &[("state", "dead"), ("confirmed", "yes")]).await.status, 400);
    let asked = text(&browser.post(cancel, &[("state", "pending")]).await);
    let what = "<b>1 delivery</b>, pending, to any destination, is not tried any more.";
    assert!(asked.contains(what), "{asked}");
    let confirmed = [("state", "pending"), ("destination", id.as_str()), ("confirmed", "yes")];
    assert!(browser.follow(cancel, &confirmed).await.contains("1 delivery cancelled."));
    assert!(browser.follow(cancel, &confirmed).await.contains("0 deliveries cancelled."));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbound_log_says_what_was_wrong() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    let (url, secret) = (rig.first.inbound_url.clone(), rig.first.inbound_secret.clone());
    rig.lead_signed(&url, &secret, json!({"email": "nobody", "company": 7}))
        .await
        .expect_problem(422, "validation_failed");
    let path = url.parse::<http::Uri>().unwrap().path().to_owned();
    let plain = headers(&[("content-type", "text/plain"), ("content-length", "5")]);
    rig.send(Method::POST, &path, plain, "hello").await.expect_problem(415, "unsupported_media_type");
    rig.send(Method::GET, &path, headers(&[]), "").await.expect_problem(405, "method_not_allowed");
    rig.send(Method::POST, "/v1/inbound/unknown", headers(&[]), "")
        .await
        .expect_problem(404, "unknown_endpoint");
    // Refusals are written with the next batch.
    rig.lead(lead_of("Batch")).await;

    let page = browser.get("/dashboard/inbound?status=rejected").await;
    let row = |reason: &str| {
        let at = page.find(&format!("<code>{reason}</code>")).unwrap_or_else(|| panic!("{reason}: {page}"));
        page[at..].split("</tr>").next().unwrap().to_owned()
    };
    let invalid = row("validation_failed");
    for field in ["name ", "email ", "company "] {
        assert!(invalid.contains(field), "{field}: {invalid}");
    }
    let media = row("unsupported_media_type");
    assert!(media.contains("<code>Content-Type</code> must be <code>application/json</code>."), "{media}");
    assert!(media.contains("5 B"), "{media}");
    let method = row("method_not_allowed");
    assert!(
        method.contains("Leads are sent with POST.") && method.contains("data-th=\"Size\">–<"),
        "{method}"
    );
    assert!(!page.contains("unknown_endpoint") && !page.contains("lead_closed"), "no row can have it");
    assert!(page.contains("<option value=\"bad_request\">"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_begins_with_whoever_waits_longest_and_tells_of_news() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    let first = lead_in_review(&rig, "First").await;
    let second = lead_in_review(&rig, "Second").await;
    let order = |page: &str| {
        page.find(&format!("lead={first}")).unwrap() < page.find(&format!("lead={second}")).unwrap()
    };
    let page = browser.get("/dashboard/review").await;
    assert!(order(&page), "{page}");
    assert!(!order(&browser.get("/dashboard/review?order=newest").await));
    let poll = |page: &str| {
        let at = page.find("data-news=\"").unwrap() + 11;
        page[at..].split('"').next().unwrap().replace("&amp;", "&")
    };
    let (all, some) = (poll(&page), poll(&browser.get("/dashboard/review?q=fir").await));
    assert!(!browser.get(&all).await.contains("new lead"));
    lead_in_review(&rig, "Third").await;
    assert!(browser.get(&all).await.contains("1 new lead<"));
    assert!(!browser.get(&some).await.contains("new lead"), "under the list's own search");
    lead_in_review(&rig, "Fourth").await;
    assert!(browser.get(&all).await.contains("2 new leads<"));
    assert!(!browser.get(&poll(&browser.get("/dashboard/review").await)).await.contains("new lead"));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_leads_of_an_email_are_those_of_it_and_of_no_other() {
    let rig = Rig::start().await;
    lead_in_review(&rig, "Ada").await;
    let browser = Browser::open(&rig).await;
    let listed = rig.get("/api/v1/leads").await;
    let email = listed["items"][0]["email"].as_str().unwrap().replace('@', "%40");
    let known = browser.get(&format!("/dashboard/leads?email={}", email.to_uppercase())).await;
    assert!(known.contains("Ada") && known.contains("name=\"email\""));
    for other in ["nobody%40example.com", "no-address"] {
        let none = browser.get(&format!("/dashboard/leads?email={other}")).await;
        assert!(none.contains("No lead is like this") && !none.contains("Ada"), "{other}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_filled_in_also_where_a_lead_has_come_meanwhile() {
    let rig = Rig::start().await;
    let browser = Browser::open(&rig).await;
    lead_in_review(&rig, "Ada").await;
    let reveal = "/dashboard/settings/secrets/inbound/reveal";
    for page in ["/dashboard/review", "/dashboard/leads", "/dashboard/inbound"] {
        let fields = [("password", rig.first.admin_password.as_str()), ("for", page)];
        let shown = browser.follow(reveal, &fields).await;
        assert!(shown.contains(&rig.first.inbound_secret) && shown.contains("Send a first lead"), "{page}");
        assert!(!browser.get(page).await.contains(&rig.first.inbound_secret), "once");
    }
    rig.stop().await;
}
