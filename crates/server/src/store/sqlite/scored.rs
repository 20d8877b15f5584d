//! A score in its column: an array without the names of an object's members, and without the sentences that its signals' names stand
//! for. With both it would be half of a lead's row.

use std::borrow::Cow;

use agentflow_events::{Action, Confidence, Dimensions, Qualification, Score};
use rusqlite::Row;
use rusqlite::types::ValueRef;
use serde::{Deserialize, Serialize};

use super::rows;
use crate::qualify::detail_of;
use crate::record::{Scored, Signal};

/// The score alone, for SQL.
pub(super) const SCORE: &str =
    "coalesce(json_extract(scored, '$[0]'), json_extract(scored, '$.qualification.score'))";

/// `[100,"high","A summary.","approve",[86,100,90,86],"rules/1",[["intent_pilot",4]]]`, the dimensions in the order of an event.
#[derive(Serialize, Deserialize)]
struct Array<Text, Signal>(Score, Confidence, Text, Action, [Score; 4], Text, Vec<Signal>);

/// `["intent_pilot",4]`, with the sentence as a third where the catalogue has another.
#[derive(Serialize)]
#[serde(untagged)]
enum WrittenSignal<'a> {
    Known(&'a str, i32),
    Other(&'a str, i32, &'a str),
}

/// What the first versions wrote.
#[derive(Deserialize)]
struct Object {
    qualification: Qualification,
    signals: Vec<ReadSignal>,
}

impl From<Array<String, ReadSignal>> for Object {
    fn from(array: Array<String, ReadSignal>) -> Self {
        let Array(score, confidence, summary, recommended_action, dimensions, scored_by, signals) = array;
        let [company_fit, intent_strength, budget_signal, timeline] = dimensions;
        let dimensions = Dimensions { company_fit, intent_strength, budget_signal, timeline };
        let qualification =
            Qualification { score, confidence, summary, recommended_action, dimensions, scored_by };
        Self { qualification, signals }
    }
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
    let Qualification { score, confidence, summary, recommended_action, dimensions, scored_by } =
        &scored.qualification;
    let Dimensions { company_fit, intent_strength, budget_signal, timeline } = *dimensions;
    let signals =
        scored.signals.iter().map(|Signal { name, points, detail }| match detail_of(name) == Some(detail) {
            true => WrittenSignal::Known(name, *points),
            false => WrittenSignal::Other(name, *points, detail),
        });
    rows::to_json(&Array(
        *score,
        *confidence,
        summary.as_str(),
        *recommended_action,
        [company_fit, intent_strength, budget_signal, timeline],
        scored_by.as_str(),
        signals.collect(),
    ))
}

/// From the column `scored`, which may be null.
pub(super) fn from_column(row: &Row<'_>) -> rusqlite::Result<Option<Scored>> {
    let Object { qualification, signals } = match row.get_ref("scored")? {
        ValueRef::Null => return Ok(None),
        ValueRef::Text(json) if json.starts_with(b"[") => rows::json::<Array<_, _>>(row, "scored")?.into(),
        _ => rows::json(row, "scored")?,
    };
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

    use super::{SCORE, from_column, to_json};
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
    fn any_text_comes_back_and_sql_finds_the_score() {
        let mut scored = scored();
        scored.qualification.summary = "\"In\nquotes\" \\ and \u{1} ü.".to_owned();
        scored.signals.clear();
        let json = to_json(&scored).expect("it can be written");
        assert_eq!(read(&json), scored);
        let object = serde_json::json!({ "qualification": scored.qualification, "signals": [] }).to_string();
        let sql = Connection::open_in_memory().expect("a database");
        for json in [json, object] {
            let select = format!("SELECT {SCORE} FROM (SELECT ? AS scored)");
            let found: u8 = sql.query_row(&select, [json], |row| row.get(0)).expect("the score");
            assert_eq!(found, scored.qualification.score.value());
        }
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

    /// As the first versions of the server wrote it, and those after them.
    #[test]
    fn a_score_in_an_object_is_read() {
        let scored = scored();
        let with_sentences = serde_json::json!(scored.signals);
        let arrays: Vec<_> =
            scored.signals.iter().map(|Signal { name, points, detail }| (name, points, detail)).collect();
        for signals in [with_sentences, serde_json::json!(arrays)] {
            let json = serde_json::json!({ "qualification": scored.qualification, "signals": signals });
            assert_eq!(read(&json.to_string()), scored);
        }
    }
}
