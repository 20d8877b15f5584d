//! Small pieces that many pages show.

use std::time::Duration;

use agentflow_events::{Moment, Outcome, Score};
use maud::{Markup, html};

use super::access::Visitor;
use super::fault::Fault;
use super::forms::Pairs;
use crate::qualify;
use crate::record::{DeliveryState, InboundStatus, LeadState, Settings};

/// What forms carry to prove that they are ours.
pub(super) fn token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="token" value=(visitor.form_token); }
}

/// A change that cannot be taken back: one click shows what it does, another ticks that one is sure.
pub(super) fn risky(visitor: &Visitor, action: &str, button: &str, what: &str) -> Markup {
    html! {
        details.risky { summary { (button) "…" }
            form method="post" action=(action) {
                (token(visitor))
                p.hint { (what) }
                (sure())
                button.bad { (button) }
            }
        }
    }
}

/// The box of a change that cannot be taken back.
pub(super) fn sure() -> Markup {
    html! { label.tick { input type="checkbox" name="sure" value="yes" required; span { "I am sure" } } }
}

/// Refuses a change that cannot be taken back unless its box is ticked.
pub(super) fn must_be_sure(form: &Pairs) -> Result<(), Fault> {
    if form.has("sure") {
        return Ok(());
    }
    Err(Fault::Unusable("Nothing was changed: tick that you are sure, then do it again.".to_owned()))
}

/// A moment as its distance from now, with UTC on hover.
pub(super) fn time(at: Moment, now: Moment) -> Markup {
    html! { time datetime=(at.to_rfc3339()) title=(utc(at)) { (distance(at, now)) } }
}

/// A moment in full: `2026-11-24 08:44:00 UTC`.
pub(super) fn utc(at: Moment) -> String {
    let text = at.to_rfc3339();
    format!("{} {} UTC", &text[..10], &text[11..19])
}

/// How long something has waited, with the moment on hover.
pub(super) fn age(since: Moment, now: Moment) -> Markup {
    html! { time data-age datetime=(since.to_rfc3339()) title={ "Since " (utc(since)) } { (rough(now.since(since))) } }
}

fn distance(at: Moment, now: Moment) -> String {
    if at > now {
        let ahead = at.since(now);
        return if ahead < Duration::from_secs(1) {
            "now".to_owned()
        } else {
            format!("in {}", rough(ahead))
        };
    }
    let ago = now.since(at);
    if ago < Duration::from_secs(5) { "just now".to_owned() } else { format!("{} ago", rough(ago)) }
}

/// A duration in its greatest unit, rounded down.
pub(super) fn rough(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Milliseconds as people read them.
pub(super) fn millis(millis: u32) -> String {
    if millis < 1_000 {
        format!("{millis} ms")
    } else {
        format!("{}.{:01} s", millis / 1_000, millis % 1_000 / 100)
    }
}

/// Bytes as people read them.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{}.{} KiB", bytes / 1_024, bytes % 1_024 * 10 / 1_024),
        _ => format!("{}.{} MiB", bytes / 1_048_576, bytes % 1_048_576 * 10 / 1_048_576),
    }
}

/// A word with a meaning: its colour says whether it is good, bad, waiting, or neither.
pub(super) fn badge(tone: &str, word: &str) -> Markup {
    html! { span class={ "badge " (tone) } { (word) } }
}

pub(super) fn lead_state(state: LeadState) -> Markup {
    match state {
        LeadState::Received => badge("plain", "received"),
        LeadState::InReview => badge("wait", "in review"),
        LeadState::Qualified => badge("good", "qualified"),
        LeadState::Rejected => badge("bad", "rejected"),
    }
}

pub(super) fn inbound_status(status: InboundStatus) -> Markup {
    match status {
        InboundStatus::Received => badge("good", "received"),
        InboundStatus::Duplicate => badge("plain", "duplicate"),
        InboundStatus::Rejected(_) => badge("bad", "rejected"),
    }
}

pub(super) fn delivery_state(state: DeliveryState) -> Markup {
    let tone = match state {
        DeliveryState::Pending => "wait",
        DeliveryState::Delivered => "good",
        DeliveryState::Dead => "bad",
        DeliveryState::Cancelled | DeliveryState::Superseded => "plain",
    };
    badge(tone, state.as_str())
}

/// A score from 0 to 100 as a number, coloured by what the workspace's thresholds make of it.
pub(super) fn score(score: u8, settings: &Settings) -> Markup {
    let (tone, fate) = match qualify::decide(Score::clamped(score.into()), settings) {
        Outcome::Approved => ("high", "approved automatically"),
        Outcome::Rejected => ("low", "rejected automatically"),
        _ => ("middle", "for review"),
    };
    html! { span class={ "score " (tone) } title={ "Score " (score) " of 100: " (fate) " under the present thresholds" } { (score) } }
}

/// A number from 0 to 100 as a bar with its name.
pub(super) fn bar(name: &str, value: u8) -> Markup {
    html! {
        div.bar {
            span { (name) }
            meter min="0" max="100" value=(value) aria-label=(name) { (value) }
            b { (value) }
        }
    }
}

/// A choice of a filter; the first option means any.
pub(super) fn select(name: &str, label: &str, chosen: Option<&str>, options: &[(&str, &str)]) -> Markup {
    html! {
        label { span { (label) }
            select name=(name) {
                option value="" { "Any" }
                @for (value, text) in options {
                    option value=(value) selected[chosen == Some(*value)] { (text) }
                }
            }
        }
    }
}

/// The links to the newest page, from a later one, and to the next. A search may have ended before its page was full; the next
/// one goes on there.
pub(super) fn pager(path: &str, first: &str, next: Option<&str>, is_later: bool, ends_early: bool) -> Markup {
    walk(path, first, next, is_later, ("Newest", "Older"), ends_early)
}

/// The links of a list to its beginning and onwards. The page before is the browser's: a list is walked one way.
pub(super) fn walk(
    path: &str,
    first: &str,
    next: Option<&str>,
    is_later: bool,
    (to_first, onwards): (&str, &str),
    ends_early: bool,
) -> Markup {
    html! {
        @if ends_early { p.hint { "What is further back has not been looked through yet." } }
        @if is_later || next.is_some() {
            nav.pager aria-label="Pages" {
                @if is_later { a.button href={ (path) (mark(first)) } { (to_first) } }
                @if let Some(next) = next { a.button rel="next" href={ (path) (mark(next)) } { @if ends_early { "Search further back" } @else { (onwards) } } }
            }
        }
    }
}

/// What heads an empty list.
pub(super) fn nothing(ends_early: bool, otherwise: &'static str) -> &'static str {
    if ends_early { "Nothing found so far" } else { otherwise }
}

/// A destination's URL as lists show it: all of them are HTTPS.
pub(super) fn bare_url(url: &str) -> &str {
    url.strip_prefix("https://").unwrap_or(url)
}

/// `?` and the query, or nothing.
pub(super) fn mark(query: &str) -> String {
    if query.is_empty() { String::new() } else { format!("?{query}") }
}

/// A sentence whose words between two backticks are code.
pub(super) fn with_code(text: &str) -> Markup {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, code, after)) = next_code(rest) {
        parts.push((before, code));
        rest = after;
    }
    html! { @for (before, code) in parts { (before) code { (code) } } (rest) }
}

/// What stands before the first two backticks, between them, and after them.
fn next_code(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('`')?;
    let (code, after) = rest.split_once('`')?;
    Some((before, code, after))
}

/// `1 lead`, `2 leads`.
pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agentflow_events::Moment;

    use super::{bytes, distance, millis, pager, score, time, with_code};
    use crate::record::Settings;

    #[test]
    fn a_score_is_coloured_by_what_the_thresholds_make_of_it() {
        let tone = |points, approve_at, reject_below| {
            let settings = Settings {
                auto_approve_at: approve_at,
                auto_reject_below: reject_below,
                ..Settings::default()
            };
            let markup = score(points, &settings).into_string();
            ["high", "middle", "low"].into_iter().find(|tone| markup.contains(&format!("score {tone}")))
        };
        assert_eq!(tone(80, Some(80), Some(30)), Some("high"));
        assert_eq!(tone(79, Some(80), Some(30)), Some("middle"));
        assert_eq!(tone(30, Some(80), Some(30)), Some("middle"));
        assert_eq!(tone(29, Some(80), Some(30)), Some("low"));
        assert_eq!((tone(100, None, None), tone(0, None, None)), (Some("middle"), Some("middle")));
    }

    #[test]
    fn times_are_told_as_people_tell_them() {
        let now = Moment::from_unix_millis(1_700_000_000_000);
        let ago = |seconds| distance(now.minus(Duration::from_secs(seconds)), now);
        assert_eq!(ago(0), "just now");
        assert_eq!(ago(59), "59 s ago");
        assert_eq!(ago(119), "1 min ago");
        assert_eq!(ago(7_300), "2 h ago");
        assert_eq!(ago(400_000), "4 d ago");
        assert_eq!(distance(now.plus(Duration::from_secs(300)), now), "in 5 min");
        assert_eq!(
            time(now, now).into_string(),
            r#"<time datetime="2023-11-14T22:13:20.000Z" title="2023-11-14 22:13:20 UTC">just now</time>"#
        );
    }

    #[test]
    fn a_search_that_ended_early_says_so_and_goes_on() {
        let shown = |early| pager("/l", "q=a", Some("q=a&cursor=a1"), false, early).into_string();
        let link = |text| format!(r#"<a class="button" rel="next" href="/l?q=a&amp;cursor=a1">{text}</a>"#);
        assert!(
            shown(true).contains(&link("Search further back"))
                && shown(true).contains("not been looked through")
        );
        assert!(shown(false).contains(&link("Older")) && !shown(false).contains("looked through"));
    }

    #[test]
    fn what_stands_between_backticks_is_code_and_never_markup() {
        let check = |text, expected| assert_eq!(with_code(text).into_string(), expected);
        check("no code", "no code");
        check("`a` must be `b<i>`.", "<code>a</code> must be <code>b&lt;i&gt;</code>.");
        check("<b>`</b>` and one ` more", "&lt;b&gt;<code>&lt;/b&gt;</code> and one ` more");
        check("with a ``", "with a <code></code>");
    }

    #[test]
    fn amounts_have_a_unit_that_fits() {
        assert_eq!(
            (bytes(1_023), bytes(1_536), bytes(5 * 1_048_576)),
            ("1023 B".into(), "1.5 KiB".into(), "5.0 MiB".into())
        );
        assert_eq!((millis(999), millis(1_250)), ("999 ms".into(), "1.2 s".into()));
    }
}
