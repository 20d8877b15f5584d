//! A score in its column: without the sentences that its signals' names stand for, which would be a third of a lead's row.

use std::borrow::Cow;

use agentflow_events::Qualification;
use rusqlite::Row;
use serde::{Deserialize, Serialize};

use super::rows;
use crate::qualify::detail_of;
use crate::record::{Scored, Signal};

#[derive(Serialize)]
struct Written<'a> {
    qualification: &'a Qualification,
    signals: Vec<WrittenSignal<'a>>,
}

/// `["intent_pilot", 4]`, with the sentence as a third where the catalogue has another.
#[derive(Serialize)]
#[serde(untagged)]
enum WrittenSignal<'a> {
    Known(&'a str, i32),
    Other(&'a str, i32, &'a str),
}

#[derive(Deserialize)]
struct Read {
    qualification: Qualification,
    signals: Vec<ReadSignal>,
}

/// The first versions wrote objects, which are read as well.
#[derive(Deserialize)]
struct ReadSignal {
    name: Cow<'static, str>,
    points: i32,
    #[serde(default)]
    detail: Option<Cow<'static, str>>,
}

/// For the column.
pub(super) fn to_json(scored: &Scored) -> rusqlite::Result<String> {
    let signals =
        scored.signals.iter().map(|Signal { name, points, detail }| match detail_of(name) == Some(detail) {
            true => WrittenSignal::Known(name, *points),
            false => WrittenSignal::Other(name, *points, detail),
        });
    rows::to_json(&Written { qualification: &scored.qualification, signals: signals.collect() })
}

/// From the column `scored`, which may be null.
pub(super) fn from_column(row: &Row<'_>) -> rusqlite::Result<Option<Scored>> {
    let Some(Read { qualification, signals }) = rows::json_or_null(row, "scored")? else { return Ok(None) };
    let signals = signals.into_iter().map(|ReadSignal { name, points, detail }| {
        let detail = detail.or_else(|| detail_of(&name).map(Cow::Borrowed)).unwrap_or_default();
        Signal { name, points, detail }
    });
    Ok(Some(Scored { qualification, signals: signals.collect() }))
}

#[cfg(test)]
mod tests {
    use agentflow_lead::Submission;
    use rusqlite::Connection;

    use super::{from_column, to_json};
    use crate::qualify::Scorer;
    use crate::qualify::rules::Rules;
    use crate::record::{Scored, ScoringRules, Signal};

    fn scored() -> Scored {
        let body =
            br#"{"name":"A","email":"a@example.com","message":"We are evaluating a pilot for our cloud."}"#;
        let rules = ScoringRules { ideal_customer_keywords: vec!["cloud".to_owned()], ..Default::default() };
        Rules.score(&Submission::parse(body).expect("a lead"), &rules)
    }

    #[track_caller]
    fn read(json: &str) -> Scored {
        let sql = Connection::open_in_memory().expect("a database");
        let found = sql.query_row("SELECT ? AS scored", [json], from_column);
        found.expect("it can be read").expect("it is not null")
    }

    #[test]
    fn the_catalogues_sentences_are_left_out_and_come_back() {
        let scored = scored();
        let json = to_json(&scored).expect("it can be written");
        assert!(json.contains("intent_pilot") && !json.contains("The message speaks of a pilot"), "{json}");
        assert_eq!(read(&json), scored);
    }

    #[test]
    fn any_other_sentence_is_kept() {
        let mut scored = scored();
        let (name, detail) = ("business_domain".into(), "In other words.".into());
        scored.signals.push(Signal { name, points: 1, detail });
        scored.signals.push(Signal { name: "of_a_model".into(), points: 2, detail: "Warm.".into() });
        let json = to_json(&scored).expect("it can be written");
        assert!(json.contains("A keyword of the ideal customer is there: cloud."), "{json}");
        assert_eq!(read(&json), scored);
    }

    /// As the first versions of the server wrote it.
    #[test]
    fn a_score_with_every_sentence_is_read() {
        let scored = scored();
        let json = serde_json::json!({ "qualification": scored.qualification, "signals": scored.signals });
        assert_eq!(read(&json.to_string()), scored);
    }
}
