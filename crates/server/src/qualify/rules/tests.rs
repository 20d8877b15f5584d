use agentflow_events::{Action, Confidence};
use agentflow_lead::Submission;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Rules;
use crate::qualify::Scorer;
use crate::qualify::sheet::CATALOGUE;
use crate::record::{Scored, ScoringRules};

const GUIDE_MESSAGE: &str =
    "We're evaluating tools to handle inbound demo requests at scale. Currently doing it manually.";

fn guide() -> Value {
    json!({
        "name": "Jordan Ellis", "email": "jordan.ellis@stacklane.co", "company": "Stacklane",
        "message": GUIDE_MESSAGE, "source": "website_contact_form", "timestamp": "2024-11-14T08:44:00Z",
    })
}

fn own_rules() -> ScoringRules {
    ScoringRules {
        ideal_customer_keywords: ["fintech", "Series B", "Straße", "営業", "sales team"]
            .map(String::from)
            .into(),
        preferred_sources: vec!["Partner Portal".into()],
        disposable_domains: vec!["throwaway.example".into()],
    }
}

fn parse(lead: &Value) -> Submission {
    Submission::parse(lead.to_string().as_bytes()).unwrap()
}

fn with(mut lead: Value, key: &str, value: impl Into<Value>) -> Value {
    lead[key] = value.into();
    lead
}

fn without(mut lead: Value, key: &str) -> Value {
    lead.as_object_mut().unwrap().remove(key);
    lead
}

#[track_caller]
fn score(lead: &Value) -> Scored {
    let submission = parse(lead);
    let scored = Rules.score(&submission, &own_rules());
    assert_eq!(scored, Rules.score(&submission, &own_rules()));
    let total: i32 = scored.signals.iter().map(|signal| signal.points).sum();
    assert_eq!(total.clamp(0, 100), i32::from(scored.qualification.score.value()));
    scored
}

fn value(lead: &Value) -> u8 {
    score(lead).qualification.score.value()
}

fn names(scored: &Scored) -> Vec<&str> {
    scored.signals.iter().map(|signal| signal.name.as_ref()).collect()
}

#[test]
fn the_guides_example_scores_82_for_these_reasons() {
    let scored = score(&guide());
    let signals: Vec<_> = scored.signals.iter().map(|signal| (signal.name.as_ref(), signal.points)).collect();
    assert_eq!(
        signals,
        [
            ("base", 40),
            ("business_domain", 4),
            ("company_named", 2),
            ("company_matches_domain", 3),
            ("source_strong", 2),
            ("message_substantial", 22),
            ("intent_evaluating", 4),
            ("intent_manual_work", 3),
            ("intent_scale", 2),
        ]
    );
    assert_eq!(
        serde_json::to_value(&scored.qualification).unwrap(),
        json!({
            "score": 82, "confidence": "high", "recommended_action": "approve", "scored_by": "rules/1",
            "summary": "Business address with a matching company, and a substantial message with several signs of \
                        intent. Budget not mentioned, time frame not mentioned.",
            "dimensions": {"company_fit": 86, "intent_strength": 86, "budget_signal": 50, "timeline": 50},
        })
    );
}

#[track_caller]
fn check(lead: Value, expected: Action, confidence: Confidence) {
    let scored = score(&lead);
    let found = (scored.qualification.recommended_action, scored.qualification.confidence);
    assert_eq!(found, (expected, confidence), "{} {:?}", scored.qualification.score, names(&scored));
}

#[test]
fn leads_land_in_the_bands_that_people_expect() {
    let bare = |email: &str| json!({"name": "Sam Lee", "email": email});
    check(guide(), Action::Approve, Confidence::High);
    check(with(guide(), "email", "jordan.ellis@gmail.com"), Action::Review, Confidence::Medium);
    check(without(guide(), "message"), Action::Review, Confidence::Medium);
    check(bare("sam@acme.io"), Action::Review, Confidence::Low);
    check(bare("sam@gmail.com"), Action::Review, Confidence::Low);
    check(bare("sam@mailinator.com"), Action::Reject, Confidence::Low);
    check(bare("sam@x.throwaway.example"), Action::Reject, Confidence::Low);
    let spam = "Buy backlinks and get your site on the first page of Google, crypto accepted.";
    check(with(bare("sam@mailinator.com"), "message", spam), Action::Reject, Confidence::Medium);
    check(with(guide(), "message", spam), Action::Reject, Confidence::High);
    let job = "Hello, I am looking for a job as an engineer, please find my resume here.";
    check(with(bare("sam@gmail.com"), "message", job), Action::Reject, Confidence::Medium);
    let student = "I am a student and need an overview of lead tools for my thesis.";
    check(with(bare("sam@gmail.com"), "message", student), Action::Reject, Confidence::Medium);
    check(with(bare("sam@gmail.com"), "message", "Unsubscribe"), Action::Reject, Confidence::Medium);
    check(with(bare("sam@gmail.com"), "message", "this is a test"), Action::Reject, Confidence::Medium);
    let links = "see https://a.example https://b.example and https://c.example";
    check(with(bare("sam@gmail.com"), "message", links), Action::Reject, Confidence::Medium);
    let pricing = "Please send pricing for 200 seats, we want to start this month. Budget approved.";
    check(with(bare("sam@acme.io"), "message", pricing), Action::Approve, Confidence::High);
}

/// What people write who want something.
const MESSAGES: [&str; 16] = [
    GUIDE_MESSAGE,
    "Could you send me a quote for 40 seats?",
    "We want to replace our current tool and migrate 3 teams to something new this quarter.",
    "Is there an integration with Salesforce?",
    "Hello, my colleague recommended you, I would like to know more about your product.",
    "Wir suchen eine Lösung, um Anfragen unserer Kunden schneller zu beantworten.",
    "Nous cherchons un outil pour qualifier nos prospects automatiquement.",
    "弊社の営業チームで問い合わせ対応を自動化したいと考えています。",
    "Мы ищем инструмент для обработки входящих заявок",
    "We have $50k set aside and need this ASAP, can we book a call?",
    "PLEASE CALL ME BACK ABOUT YOUR ENTERPRISE OFFER FOR OUR COMPANY",
    "What are your plans for next year?",
    "We are a Series B fintech with a sales team of 50 and drown in leads.",
    "Tell me about your API",
    "Just browsing, no budget, no rush.",
    "WE HAVE NO BUDGET AND NO TIMELINE",
];

fn contexts() -> Vec<Value> {
    let bare = |email: &str| json!({"name": "Sam Lee", "email": email});
    let known = |email: &str, source: &str, company: &str| {
        with(with(bare(email), "source", source), "company", company)
    };
    let rich = json!({
        "budget": "$250k", "timeline": "ASAP", "employees": 900, "phone": "+49 30 1234567", "job_title": "CTO",
        "segment": "fintech", "stage": "Series B", "office": "Lange Straße", "team": "sales team",
    });
    let poor = json!({"budget": "none", "timeline": "just browsing", "job_title": "student", "odd": [{"a": null}, f64::MAX]});
    let mut contexts = vec![without(guide(), "message")];
    for email in
        ["sam@acme.io", "info@acme.io", "sam@gmail.com", "no-reply@mailinator.com", "sam@mailinator.com"]
    {
        contexts.push(bare(email));
        contexts.push(known(email, "Partner Portal", "Acme"));
        contexts.push(known(email, "purchased list", "Acme Inc."));
        for fields in [&rich, &poor] {
            for mut lead in
                [bare(email), known(email, "partner_portal", "Acme"), known(email, "giveaway", "x")]
            {
                lead.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
                contexts.push(with(lead.clone(), "name", "Win http://prize.example"));
                contexts.push(lead);
            }
        }
    }
    contexts
}

#[test]
fn a_message_is_worth_25_points_or_more() {
    for lead in contexts() {
        let silent = score(&lead);
        let before = silent.qualification.score.value();
        assert!(before <= 69, "nobody is approved without a word: {:?}", silent.signals);
        for message in MESSAGES {
            let speaking = score(&with(lead.clone(), "message", message));
            let after = speaking.qualification.score.value();
            assert!(after >= before + 25, "{before} -> {after}: {message}\n{:?}", speaking.signals);
        }
    }
}

#[test]
fn trivial_messages_gain_next_to_nothing() {
    for message in
        ["hi", "hello there", "test", "call me please", "ok ok ok ok ok", "no no yes no yes no", "?!", "…"]
    {
        let lead = with(guide(), "message", message);
        assert!(value(&lead) <= value(&without(guide(), "message")) + 2, "{message}");
    }
}

#[track_caller]
fn check_signal(key: &str, field: Value, expected: &str) {
    let scored = score(&with(without(guide(), "message"), key, field));
    assert!(names(&scored).contains(&expected), "{:?}", names(&scored));
}

#[test]
fn additional_fields_add_signals() {
    check_signal("budget", json!(50000), "budget_large");
    check_signal("Budget", json!("5k-8k EUR"), "budget_moderate");
    check_signal("monthly_budget", json!("500"), "budget_small");
    check_signal("budget", json!("no budget"), "budget_none");
    check_signal("budget", json!("None"), "budget_none");
    check_signal("budget", json!({"approved": true, "max": 20000}), "budget_large");
    check_signal("time-frame", json!("Q1"), "timeline_soon");
    check_signal("timeline", json!("Immediately"), "timeline_now");
    check_signal("timeline", json!("next year"), "timeline_later");
    check_signal("Job Title", json!("VP of Sales"), "job_title_decides");
    check_signal("role", json!("Student"), "job_title_not_a_buyer");
    check_signal("company_size", json!("11-50"), "company_size_large");
    check_signal("employees", json!(12), "company_size_medium");
    check_signal("phone", json!("+1 (555) 010-0200"), "phone_given");
    check_signal("notes", json!(["likes", "FINTECH"]), "ideal_customer_keyword");
}

#[test]
fn a_field_goes_before_the_message_and_each_thing_counts_once() {
    let lead =
        with(with(guide(), "budget", "20k"), "message", "We have no budget, sadly, but we want a demo.");
    let scored = score(&lead);
    assert!(names(&scored).contains(&"budget_large") && !names(&scored).contains(&"budget_none"));
    let lead = with(with(guide(), "budget", 1), "budget_2", 2);
    assert_eq!(names(&score(&lead)).iter().filter(|name| name.starts_with("budget_")).count(), 1);
}

#[test]
fn keywords_count_once_each_as_whole_words_and_three_at_most() {
    let keywords = |message: &str| {
        let scored = score(&with(without(guide(), "company"), "message", message));
        names(&scored).iter().filter(|name| **name == "ideal_customer_keyword").count()
    };
    assert_eq!(keywords("We are a FinTech, a fintech, really a fintech."), 1);
    assert_eq!(
        keywords("We are fintechs in a series, b or not."),
        1,
        "punctuation separates words like a space"
    );
    assert_eq!(keywords("We are nonfintech people in series bold."), 0);
    assert_eq!(keywords("LANGE STRASSE oder lange straße"), 1);
    assert_eq!(keywords("弊社の営業チームで問い合わせ対応を"), 1);
    assert_eq!(keywords("fintech, series b, straße, sales team"), 3);
    let lead = with(with(guide(), "a", "Series"), "b", "B");
    assert!(!names(&score(&lead)).contains(&"ideal_customer_keyword"), "no phrase spans two fields");
}

#[test]
fn nothing_of_the_person_gets_into_summary_or_details() {
    let lead = json!({
        "name": "Zebulon Quux", "email": "zebulon.quux@corge.example", "company": "Corge Grault",
        "message": "Garply waldo fred plugh xyzzy thud, pricing for fintech at $77777 asap please",
        "source": "plughsource", "job_title": "CEO of Thud", "phone": "+49 30 7654321",
    });
    let scored = score(&lead);
    let shown = format!("{} {:?}", scored.qualification.summary, scored.signals).to_lowercase();
    for private in
        ["zebulon", "quux", "corge", "grault", "garply", "xyzzy", "77777", "plugh", "thud", "7654321"]
    {
        assert!(!shown.contains(private), "{private}");
    }
    assert!(shown.contains("fintech"), "a keyword of the settings may be named");
}

#[test]
fn the_largest_leads_are_scored_without_looking_at_all_of_them() {
    let long = "fintech $5 seo backlinks ".repeat(390);
    let lead = with(with(guide(), "message", long), "notes", "x\"\n営".repeat(20_000));
    assert!(value(&lead) < 30);
    let lead = with(guide(), "deep", json!([[[[[{"budget": [null, true, -1e9]}]]]]]));
    assert_eq!(value(&lead), 82);
}

#[test]
fn both_tables_of_signals_are_complete() {
    for text in [include_str!("../rules.rs"), include_str!("../../../../../docs/scoring.md")] {
        let rows: Vec<&str> = text
            .lines()
            .map(|line| line.trim_start_matches("//! "))
            .filter(|line| line.starts_with("| `"))
            .collect();
        for kind in CATALOGUE {
            let points = match kind.points {
                0 => "as needed".to_owned(),
                points => format!("{points:+}"),
            };
            let row = format!("| `{}` | {points} |", kind.name);
            assert!(rows.iter().any(|line| line.starts_with(&row)), "{row}");
        }
        let signals =
            rows.iter().filter(|row| row.contains("| +") || row.contains("| -") || row.contains("as needed"));
        assert_eq!(signals.count(), CATALOGUE.len());
    }
}

fn any_field() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        "[^\0]{0,40}".prop_map(Value::from),
        "[ $€£0-9,.'kmKM]{0,30}".prop_map(Value::from),
        proptest::collection::vec("[a-z0-9 ]{0,9}", 0..4).prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn any_lead_has_a_score_that_adds_up_and_says_the_same_twice(
        local in "[a-z]{1,8}", domain in prop_oneof![Just("gmail.com"), Just("mailinator.com"), Just("acme.io")],
        company in "[^\0]{0,40}", source in "[^\0]{0,40}",
        message in prop_oneof!["[^\0]{0,300}", "[A-Za-z$€0-9 ]{0,300}"],
        keys in proptest::collection::vec("(budget|timeline|employees|phone|role|[^\0]{1,9})", 0..5),
        fields in proptest::collection::vec(any_field(), 5),
    ) {
        let mut lead = json!({"name": "Sam", "email": format!("{local}@{domain}"), "company": company,
                              "source": source, "message": message});
        for (key, field) in keys.iter().zip(fields) {
            if lead.get(key).is_none() && !matches!(key.as_str(), "timestamp") {
                lead[key] = field;
            }
        }
        let scored = score(&lead);
        prop_assert!(scored.qualification.score.value() <= 100);
        prop_assert_eq!(&scored.signals[0].name, "base");
        for signal in &scored.signals {
            prop_assert!(CATALOGUE.iter().any(|kind| kind.name == signal.name));
        }
        if names(&scored).iter().any(|name| matches!(*name, "message_short" | "message_substantial")) {
            let silent = value(&without(lead, "message"));
            prop_assert!(scored.qualification.score.value() >= silent + 25, "{silent} {:?}", scored.signals);
        }
    }
}
