//! The second factor over HTTPS, with an authenticator app of the test's own.

use std::time::Duration;

use agentflow_server::clock::Clock;
use aws_lc_rs::hmac::{HMAC_SHA1_FOR_LEGACY_USE_ONLY, Key, sign};
use http::Method;
use serde_json::json;

use crate::dashboard::{PASSWORD, admin, cookie_of, encoded, get, ours, sign_in, token_in};
use crate::rig::{Answer, Rig};

const CODE_PATH: &str = "/dashboard/login/code";

/// What the app on the phone shows.
fn code(base32: &str, clock: &Clock) -> String {
    let mut bits = String::new();
    for letter in base32.bytes() {
        let value = if letter.is_ascii_uppercase() { letter - b'A' } else { letter - b'2' + 26 };
        bits.push_str(&format!("{value:05b}"));
    }
    let secret: Vec<u8> = (0..bits.len() / 8)
        .map(|byte| u8::from_str_radix(&bits[byte * 8..byte * 8 + 8], 2).unwrap())
        .collect();
    let step = u64::try_from(clock.now().unix_seconds()).unwrap() / 30;
    let tag = sign(&Key::new(HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret), &step.to_be_bytes());
    let digest = tag.as_ref();
    let at = usize::from(digest[19] & 15);
    let number = u32::from_be_bytes(digest[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// A code that is none now.
fn wrong_code(base32: &str, clock: &Clock) -> String {
    let later = Clock::manual(clock.now().plus(Duration::from_secs(3_000)));
    code(base32, &later)
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.bytes).into_owned()
}

async fn post(rig: &Rig, path: &str, cookie: &str, pairs: &[(&str, &str)]) -> Answer {
    rig.send(Method::POST, path, ours(cookie), encoded(pairs)).await
}

fn next_step(clock: &Clock) {
    clock.advance(Duration::from_secs(30));
}

/// What the pages show to be copied, one by one.
fn shown(page: &Answer) -> Vec<String> {
    let text = text(page);
    let parts = text.split("<pre data-copy tabindex=\"0\">").skip(1);
    parts.map(|part| part.split("</pre>").next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_up_is_finished_where_it_was_begun_and_soon() {
    let clock = Clock::manual(agentflow_events::Moment::from(std::time::SystemTime::now()));
    let rig = Rig::start_at(clock.clone(), tempfile::tempdir().unwrap(), |_| {}).await;
    let (cookie, elsewhere) = (admin(&rig).await, admin(&rig).await);
    let token = token_in(&get(&rig, "/dashboard/account", &cookie).await);
    let pairs = [("token", token.as_str()), ("password", rig.first.admin_password.as_str())];
    let begun = post(&rig, "/dashboard/account/factor", &cookie, &pairs).await;
    let base32 = &shown(&begun)[0];
    let confirm = async |cookie: &str, code: &str| {
        let token = token_in(&get(&rig, "/dashboard/account", cookie).await);
        post(&rig, "/dashboard/account/factor/confirm", cookie, &[("token", &token), ("code", code)]).await
    };
    let check_refused = |answer: &Answer| {
        assert_eq!(answer.status, 400);
        assert!(text(answer).contains("Begin anew.") && !text(answer).contains(base32.as_str()));
    };
    check_refused(&confirm(&elsewhere, "000000").await);
    check_refused(&confirm(&elsewhere, &code(base32, &clock)).await);
    assert_eq!(shown(&confirm(&cookie, &wrong_code(base32, &clock)).await)[0], *base32);
    clock.advance(Duration::from_secs(10 * 60));
    check_refused(&confirm(&cookie, &code(base32, &clock)).await);
    assert_eq!(post(&rig, "/dashboard/account/factor", &cookie, &pairs).await.status, 200);
    rig.stop().await;
}

struct Signed {
    rig: Rig,
    clock: Clock,
    cookie: String,
    token: String,
    base32: String,
    recovery: Vec<String>,
}

/// A server whose first admin has a second factor.
async fn with_factor() -> Signed {
    let clock = Clock::manual(agentflow_events::Moment::from(std::time::SystemTime::now()));
    let rig = Rig::start_at(clock.clone(), tempfile::tempdir().unwrap(), |_| {}).await;
    let (cookie, elsewhere) = (admin(&rig).await, admin(&rig).await);
    let token = token_in(&get(&rig, "/dashboard/account", &cookie).await);
    let begin = async |password: &str| {
        post(&rig, "/dashboard/account/factor", &cookie, &[("token", &token), ("password", password)]).await
    };
    assert_eq!(begin("wrong").await.status, 403);
    let begun = begin(&rig.first.admin_password).await;
    let [base32, url] = shown(&begun).try_into().unwrap();
    assert!(text(&begun).contains("<svg class=\"qr\""), "and as a code to scan");
    assert!(
        url.starts_with("otpauth://totp/AgentFlow:") && url.contains(&format!("secret={base32}")),
        "{url}"
    );
    assert_eq!(
        sign_in(&rig, &rig.first.admin_email, &rig.first.admin_password).await.headers["location"],
        "/dashboard/review",
        "it does not count yet"
    );

    let confirm = async |code: &str| {
        post(&rig, "/dashboard/account/factor/confirm", &cookie, &[("token", &token), ("code", code)]).await
    };
    let again = confirm(&wrong_code(&base32, &clock)).await;
    assert_eq!((again.status, &shown(&again)[0]), (403, &base32));
    let confirmed = confirm(&code(&base32, &clock)).await;
    assert_eq!(
        (confirmed.status, &confirmed.headers["location"]),
        (303, &"/dashboard/account".parse().unwrap())
    );
    let recovery: Vec<String> =
        shown(&get(&rig, "/dashboard/account", &cookie).await)[0].lines().map(str::to_owned).collect();
    assert_eq!(recovery.len(), 10);
    assert_eq!(get(&rig, "/dashboard/account", &cookie).await.status, 200);
    assert_eq!(get(&rig, "/dashboard/account", &elsewhere).await.status, 303, "signed out elsewhere");
    Signed { rig, clock, cookie, token, base32, recovery }
}

impl Signed {
    /// The cookie of a sign-in that waits for a code.
    async fn halfway(&self) -> String {
        let answer = sign_in(&self.rig, &self.rig.first.admin_email, &self.rig.first.admin_password).await;
        assert_eq!((answer.status, &answer.headers["location"]), (303, &CODE_PATH.parse().unwrap()));
        let cookie = cookie_of(&answer);
        assert!(cookie.starts_with("__Host-agentflow-code="), "no session yet: {cookie}");
        cookie
    }

    async fn give(&self, halfway: &str, code: &str) -> Answer {
        post(&self.rig, CODE_PATH, halfway, &[("code", code)]).await
    }

    async fn restarted(self) -> Self {
        let rig = self.rig.restart(|_| {}).await;
        Self { rig, ..self }
    }

    async fn actions(&self) -> Vec<String> {
        let page = self.rig.get("/api/v1/audit").await;
        let rows = page["items"].as_array().unwrap().iter();
        rows.map(|row| row["action"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_asks_for_a_code_after_the_right_password_alone() {
    let signed = with_factor().await;
    let (rig, clock) = (&signed.rig, &signed.clock);
    assert_eq!(sign_in(rig, &rig.first.admin_email, "wrong").await.status, 403, "as ever");
    assert_eq!(get(rig, CODE_PATH, "").await.headers["location"], "/dashboard/login");

    let halfway = signed.halfway().await;
    assert_eq!(get(rig, CODE_PATH, &halfway).await.status, 200);
    assert_eq!(get(rig, "/dashboard/review", &halfway).await.status, 303, "it opens nothing");
    assert_eq!(signed.give(&halfway, &wrong_code(&signed.base32, clock)).await.status, 403);
    let used = signed.give(&halfway, &code(&signed.base32, clock)).await;
    assert!(used.status == 403 && text(&used).contains("was used before"), "the set-up used it");
    next_step(clock);
    let fresh = code(&signed.base32, clock);
    let entered = signed.give(&halfway, &fresh).await;
    assert_eq!((entered.status, &entered.headers["location"]), (303, &"/dashboard/review".parse().unwrap()));
    assert_eq!(get(rig, "/dashboard/account", &cookie_of(&entered)).await.status, 200);
    assert_eq!(signed.give(&halfway, &fresh).await.headers["location"], "/dashboard/login", "once");

    let halfway = signed.halfway().await;
    assert_eq!(signed.give(&halfway, &fresh).await.status, 403, "nor for another sign-in");
    clock.advance(Duration::from_secs(5 * 60));
    let late = signed.give(&halfway, &code(&signed.base32, clock)).await;
    assert_eq!(late.headers["location"], "/dashboard/login", "too late");
    signed.rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_code_stands_in_once() {
    let signed = with_factor().await;
    let (first, halfway) = (&signed.recovery[0], signed.halfway().await);
    let entered = signed.give(&halfway, &first.to_uppercase().replace('-', " ")).await;
    assert_eq!(entered.status, 303);
    let page = get(&signed.rig, "/dashboard/account", &cookie_of(&entered)).await;
    assert!(text(&page).contains("Recovery codes left: <b>9</b>"));
    let halfway = signed.halfway().await;
    assert_eq!(signed.give(&halfway, first).await.status, 403);
    assert!(signed.actions().await.contains(&"second_factor.recover".to_owned()));
    signed.rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_are_guessed_no_more_often_than_passwords_however_often_the_right_one_is_given() {
    let signed = with_factor().await;
    let rig = &signed.rig;
    for _ in 0..2 {
        let halfway = signed.halfway().await;
        for _ in 0..5 {
            assert_eq!(signed.give(&halfway, &wrong_code(&signed.base32, &signed.clock)).await.status, 403);
        }
    }
    assert_eq!(sign_in(rig, &rig.first.admin_email, &rig.first.admin_password).await.status, 429);
    // What is noted after the reply is there once the server has stopped.
    let signed = signed.restarted().await;
    let actions = signed.actions().await;
    let told = |action: &str| actions.iter().filter(|found| *found == action).count();
    // The wrong password was the set-up's, in a session, whose tries are counted by themselves.
    let told = ["password.wrong", "password.throttle", "code.wrong", "code.throttle"].map(told);
    assert_eq!(told, [1, 0, 1, 1], "{actions:?}");
    signed.rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_wrong_codes_over_hours_lock_it_until_a_recovery_code_is_given() {
    let signed = with_factor().await;
    for _ in 0..10 {
        let halfway = signed.halfway().await;
        for _ in 0..10 {
            let answer = signed.give(&halfway, &wrong_code(&signed.base32, &signed.clock)).await;
            assert!(answer.status == 403 && text(&answer).contains("This code is wrong"));
        }
        signed.clock.advance(Duration::from_secs(15 * 60));
    }
    let signed = signed.restarted().await;
    let halfway = signed.halfway().await;
    let body = json!({"email": "a@example.com", "role": "admin", "password": PASSWORD});
    signed.rig.call("POST", "/api/v1/operators", body).await.expect(201);
    let other = cookie_of(&sign_in(&signed.rig, "a@example.com", PASSWORD).await);
    let people = async || text(&get(&signed.rig, "/dashboard/settings/operators", &other).await);
    assert!(people().await.contains("codes locked"), "another admin sees it");
    let locked = signed.give(&halfway, &code(&signed.base32, &signed.clock)).await;
    assert!(locked.status == 403 && text(&locked).contains("codes of the app count no more"));
    assert_eq!(signed.actions().await.iter().filter(|action| *action == "second_factor.lock").count(), 1);
    assert_eq!(signed.give(&halfway, &signed.recovery[0]).await.status, 303);
    assert!(people().await.contains("password and code"));
    assert_eq!(signed.give(&signed.halfway().await, &code(&signed.base32, &signed.clock)).await.status, 303);
    signed.rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_switched_off_with_password_and_code() {
    let signed = with_factor().await;
    let (rig, clock) = (&signed.rig, &signed.clock);
    next_step(clock);
    let off = async |password: &str, code: &str| {
        let pairs = [("token", signed.token.as_str()), ("password", password), ("code", code)];
        post(rig, "/dashboard/account/factor/off", &signed.cookie, &pairs).await.status
    };
    assert_eq!(off("wrong", &code(&signed.base32, clock)).await, 403);
    assert_eq!(off(&rig.first.admin_password, &wrong_code(&signed.base32, clock)).await, 400);
    assert_eq!(off(&rig.first.admin_password, "").await, 400);
    signed.halfway().await;
    assert_eq!(off(&rig.first.admin_password, &code(&signed.base32, clock)).await, 303);
    let answer = sign_in(rig, &rig.first.admin_email, &rig.first.admin_password).await;
    assert_eq!(answer.headers["location"], "/dashboard/review");
    assert!(signed.actions().await.contains(&"second_factor.off".to_owned()));
    signed.rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_admin_resets_it_and_an_invitation_does_not_pass_it_by() {
    let signed = with_factor().await;
    let rig = &signed.rig;
    let mine = rig.get("/api/v1/operators").await["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/dashboard/settings/operators/{mine}/factor");
    let pairs = [("token", signed.token.as_str()), ("password", rig.first.admin_password.as_str())];
    assert_eq!(post(rig, &path, &signed.cookie, &pairs).await.status, 400, "not one's own");

    let invited =
        rig.call("POST", &format!("/api/v1/operators/{mine}/invitation"), json!(null)).await.expect(201);
    let invitation = format!("/dashboard/invitation/{}", invited["token"].as_str().unwrap());
    let accepted = post(rig, &invitation, "", &[("password", PASSWORD), ("again", PASSWORD)]).await;
    assert_eq!(accepted.headers["location"], CODE_PATH);
    assert!(cookie_of(&accepted).starts_with("__Host-agentflow-code="));

    let body = json!({"email": "a@example.com", "role": "admin", "password": PASSWORD});
    rig.call("POST", "/api/v1/operators", body).await.expect(201);
    let other = cookie_of(&sign_in(rig, "a@example.com", PASSWORD).await);
    let page = get(rig, "/dashboard/settings/operators", &other).await;
    assert!(text(&page).contains("Reset second factor"));
    let token = token_in(&page);
    let asked = post(rig, &path, &other, &[("token", &token)]).await;
    assert!(asked.status == 200 && text(&asked).contains("Your password, please"));
    assert_eq!(post(rig, &path, &other, &[("token", &token), ("password", PASSWORD)]).await.status, 303);
    let answer = sign_in(rig, &rig.first.admin_email, PASSWORD).await;
    assert_eq!(answer.headers["location"], "/dashboard/review");
    assert_eq!(signed.give(&cookie_of(&accepted), "000000").await.headers["location"], "/dashboard/login");
    assert!(signed.actions().await.contains(&"second_factor.reset".to_owned()));
    signed.rig.stop().await;
}
