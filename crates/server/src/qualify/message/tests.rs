use agentflow_lead::Submission;
use serde_json::{Value, json};

use crate::qualify::Scorer;
use crate::qualify::rules::Rules;
use crate::qualify::text::fold_in;
use crate::record::{Scored, ScoringRules};

/// From a lead of whom next to nothing is known to one of whom everything is.
fn contexts() -> Vec<Value> {
    let full = json!({"name": "Sam Lee", "email": "sam@acme.io", "company": "Acme", "source": "demo_request",
        "budget": "$250k", "timeline": "ASAP", "employees": 900, "phone": "+49 30 1234567", "job_title": "CTO"});
    let poor = json!({"name": "Win http://x.example", "email": "no-reply@mailinator.com", "source": "giveaway",
        "budget": 0, "timeline": "no hurry", "job_title": "student"});
    let known = json!({"name": "Sam Lee", "email": "sam@acme.io", "company": "Acme", "source": "web form"});
    let bare = json!({"name": "Sam Lee", "email": "sam@gmail.com"});
    vec![full, poor, known, bare]
}

fn score(lead: &Value) -> Scored {
    Rules.score(&Submission::parse(lead.to_string().as_bytes()).unwrap(), &ScoringRules::default())
}

fn speaking(mut lead: Value, message: &str) -> Scored {
    lead["message"] = message.into();
    score(&lead)
}

fn has(scored: &Scored, name: &str) -> bool {
    scored.signals.iter().any(|signal| signal.name == name)
}

#[track_caller]
fn is_worth_25(message: &str) {
    for lead in contexts() {
        let scored = speaking(lead.clone(), message);
        let silent = score(&lead).qualification.score.value();
        assert!(scored.qualification.score.value() >= silent + 25, "{silent} {message} {:?}", scored.signals);
    }
}

#[track_caller]
fn is_off_topic(message: &str, expected: &str) {
    for lead in contexts() {
        let scored = speaking(lead.clone(), message);
        assert!(has(&scored, expected), "{message} {:?}", scored.signals);
        assert!(scored.qualification.score <= score(&lead).qualification.score, "{message}");
    }
}

#[test]
fn candid_short_and_loud_messages_are_worth_25_points_too() {
    is_worth_25("We have no budget and are just browsing your site.");
    is_worth_25("No budget, no hurry, just curious.");
    is_worth_25("CAN YOU CALL ME BACK TODAY");
    is_worth_25("NO BUDGET, NO HURRY, BUT WE LIKE IT");
    is_worth_25("Need a demo");
    is_worth_25("Pricing?");
    is_worth_25("Is there a free plan for small teams?");
}

#[test]
fn german_french_and_spanish_messages_show_their_intent() {
    for (message, signals) in [
        ("Wir suchen ein Tool, bitte um ein Angebot.", ["intent_evaluating", "intent_pricing"]),
        ("Bisher machen wir alles manuell, Start nächste Woche.", ["intent_manual_work", "timeline_now"]),
        ("Nous cherchons un outil et voudrions une démo.", ["intent_evaluating", "intent_demo"]),
        ("Un devis s'il vous plaît, le budget est validé.", ["intent_pricing", "budget_approved"]),
        ("Buscamos una herramienta, pero no tenemos presupuesto.", ["intent_evaluating", "budget_none"]),
        ("Queremos integrar esto con nuestro sistema este mes.", ["intent_integrating", "timeline_soon"]),
    ] {
        is_worth_25(message);
        let scored = speaking(contexts().swap_remove(3), message);
        assert!(signals.iter().all(|name| has(&scored, name)), "{message} {:?}", scored.signals);
    }
}

#[test]
fn messages_about_something_else_gain_nothing() {
    is_off_topic("We offer SEO and quality backlinks, get a quote.", "spam");
    is_off_topic("Play at our casino, pay with bitcoin", "spam");
    is_off_topic("http://a.example http://b.example http://c.example", "many_links");
    is_off_topic("Please remove me from this list", "unsubscribe");
    is_off_topic("Are you hiring? I have attached my CV.", "job_seeking");
    is_off_topic("Ich bin Studentin und schreibe meine Bachelorarbeit.", "student");
    is_off_topic("this is a test", "test_message");
    is_off_topic("sdkfjh wlkqjr zxmcnb qwrtp lkjhg", "gibberish");
    is_off_topic("aaaaaaa bbbbbbb ccccccc ddddddd", "gibberish");
}

#[test]
fn buyers_from_trades_that_spammers_speak_of_are_heard() {
    is_worth_25("We have 40 open positions, are evaluating hiring tools and would like a demo.");
    is_worth_25("Our SEO agency compares tools to replace our CRM, please send pricing.");
    is_worth_25("We run a crypto casino and evaluate tools; can we have a demo, pricing and API access?");
    is_worth_25("Our schools need a tool for homework: please send pricing, we would start with a pilot.");
    is_worth_25(
        "Our customers want to unsubscribe from lists. Does your API integrate with that? Send a quote.",
    );
    is_worth_25("Leads write to us on WhatsApp and Telegram, we answer by hand.");
}

#[test]
fn words_that_are_hard_to_pronounce_are_no_gibberish() {
    is_worth_25("Rechtsschutzversicherung und Angstschweiß sind unsere Themen");
    is_worth_25("Lengths, strengths and catchphrases of Knightsbridge");
    is_worth_25("Does HTML work over HTTP with XHTML and MPLS here");
    is_worth_25("Hledáme nástroj pro vyřizování poptávek");
}

#[test]
fn an_amount_beside_the_word_budget_needs_no_currency() {
    let lead = || contexts().swap_remove(3);
    assert!(has(&speaking(lead(), "Our budget is about 50k for this."), "budget_large"));
    assert!(!has(&speaking(lead(), "We moved 50k leads through it last year."), "budget_large"));
}

#[test]
fn what_cannot_be_pronounced_is_told_in_one_pass_as_by_its_definition() {
    fn by_definition(letters: &[u8]) -> bool {
        let is_vowel = |byte: &u8| b"aeiouy".contains(byte);
        letters.iter().all(u8::is_ascii_lowercase)
            && (!letters.iter().any(is_vowel)
                || letters.windows(6).any(|run| !run.iter().any(is_vowel))
                || letters.windows(4).any(|run| run.iter().all(|letter| *letter == run[0])))
    }
    // Every word of eight of these, shorter ones in some of them.
    for number in 0..4_usize.pow(8) {
        let word: Vec<u8> = (0..8).map(|place| b"ast9"[number / 4_usize.pow(place) % 4]).collect();
        let word = &word[..8 - number % 7 / 5];
        assert_eq!(super::is_unpronounceable(word), by_definition(word), "{word:?}");
    }
}

#[test]
fn gibberish_is_more_than_half_of_the_long_words_and_two_at_least() {
    for (strange, plain) in (0..6).flat_map(|strange| (0..6).map(move |plain| (strange, plain))) {
        let message = format!("{}{}{}", "to ", "word ".repeat(plain), "qwrtp ".repeat(strange));
        let folded = fold_in(&mut String::new(), &message, 1_000).to_owned();
        let seen = super::Seen::in_words_of(&folded);
        assert_eq!(
            super::is_gibberish(&folded, seen.long_words),
            strange >= 2 && strange > plain,
            "{message}"
        );
    }
}
