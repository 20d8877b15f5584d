//! The envelope read in one pass, where nothing is wrong with it and nothing in it is new.
//!
//! This is the way of nearly every event, and several times faster than reading field by field. Whatever it stumbles
//! over, it says no more than that: the careful way (`object`) then reads the body again, and either finds nothing wrong
//! (a field that was added later) or names what is. So it must accept nothing that the careful way refuses, and read what
//! it accepts alike: the tests below hold it to that.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::decision::DecidedBy;
use crate::event::API_VERSION;
use crate::{
    Action, Confidence, Decision, Dimensions, Event, EventData, EventId, EventType, Fields, LeadId,
    LeadSnapshot, Moment, OperatorId, Outcome, Qualification, Score, Timestamps, WorkspaceId,
};

/// The event, or `None` where a closer look is needed.
pub(crate) fn read(json: &str) -> Option<Event> {
    let envelope: Envelope = serde_json::from_str(json).ok()?;
    let ApiVersion = envelope.api_version;
    let Data { lead, qualification, decision, timestamps } = envelope.data;
    Some(Event {
        id: envelope.id,
        event_type: envelope.r#type,
        timestamp: envelope.timestamp,
        workspace_id: envelope.workspace_id,
        lead_id: envelope.lead_id,
        test: envelope.test.unwrap_or(false),
        data: EventData {
            lead: LeadSnapshot {
                name: lead.name,
                email: lead.email,
                company: lead.company,
                message: lead.message,
                source: lead.source,
                submitted_at: lead.submitted_at,
                fields: lead.fields.map_or_else(|| Some(Fields::empty()), |fields| fields.try_into().ok())?,
                previous_lead_id: lead.previous_lead_id,
            },
            qualification: Qualification {
                score: qualification.score,
                confidence: qualification.confidence,
                summary: qualification.summary,
                recommended_action: qualification.recommended_action,
                dimensions: Dimensions {
                    company_fit: qualification.dimensions.company_fit,
                    intent_strength: qualification.dimensions.intent_strength,
                    budget_signal: qualification.dimensions.budget_signal,
                    timeline: qualification.dimensions.timeline,
                },
                scored_by: qualification.scored_by,
            },
            decision: Decision {
                outcome: decision.outcome,
                by: decision.by,
                operator_id: decision.operator_id,
                note: decision.note,
            },
            timestamps: Timestamps {
                received_at: timestamps.received_at,
                scored_at: timestamps.scored_at,
                decided_at: timestamps.decided_at,
            },
        },
    })
}

/// An object with these keys, each once, and no others; those after the semicolon may be absent or null. Unlike the code that
/// serde derives, it takes no array for an object.
macro_rules! object {
    (
        struct $name:ident {
            $($field:ident: $type:ty = $key:literal,)+
            ; $($optional:ident: $optional_type:ty = $optional_key:literal,)*
        }
    ) => {
        struct $name {
            $($field: $type,)+
            $($optional: Option<$optional_type>,)*
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Keys;

                impl<'de> Visitor<'de> for Keys {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        $(let mut $field: Option<$type> = None;)+
                        $(let mut $optional: Option<Option<$optional_type>> = None;)*
                        while let Some(key) = map.next_key::<&str>()? {
                            match key {
                                $($key if $field.is_none() => $field = Some(map.next_value()?),)+
                                $($optional_key if $optional.is_none() => $optional = Some(map.next_value()?),)*
                                _ => return Err(A::Error::custom("new, or there twice")),
                            }
                        }
                        Ok($name {
                            $($field: $field.ok_or_else(|| A::Error::missing_field($key))?,)+
                            $($optional: $optional.flatten(),)*
                        })
                    }
                }

                deserializer.deserialize_map(Keys)
            }
        }
    };
}

/// The one that this crate reads.
struct ApiVersion;

impl<'de> Deserialize<'de> for ApiVersion {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let version = <&str>::deserialize(deserializer)?;
        if version == API_VERSION { Ok(Self) } else { Err(D::Error::custom("another version")) }
    }
}

object! {
    struct Envelope {
        api_version: ApiVersion = "api_version",
        id: EventId = "id",
        r#type: EventType = "type",
        timestamp: Moment = "timestamp",
        workspace_id: WorkspaceId = "workspace_id",
        lead_id: LeadId = "lead_id",
        data: Data = "data",
        ; test: bool = "test",
    }
}

object! {
    struct Data {
        lead: Lead = "lead",
        qualification: Scored = "qualification",
        decision: Decided = "decision",
        timestamps: Times = "timestamps",
        ;
    }
}

object! {
    struct Lead {
        name: String = "name",
        email: String = "email",
        ; company: String = "company",
        message: String = "message",
        source: String = "source",
        submitted_at: String = "submitted_at",
        fields: Box<RawValue> = "fields",
        previous_lead_id: LeadId = "previous_lead_id",
    }
}

object! {
    struct Scored {
        score: Score = "score",
        confidence: Confidence = "confidence",
        summary: String = "summary",
        recommended_action: Action = "recommended_action",
        dimensions: ScoredDimensions = "dimensions",
        scored_by: String = "scored_by",
        ;
    }
}

object! {
    struct ScoredDimensions {
        company_fit: Score = "company_fit",
        intent_strength: Score = "intent_strength",
        budget_signal: Score = "budget_signal",
        timeline: Score = "timeline",
        ;
    }
}

object! {
    struct Decided {
        outcome: Outcome = "outcome",
        by: DecidedBy = "by",
        ; operator_id: OperatorId = "operator_id",
        note: String = "note",
    }
}

object! {
    struct Times {
        received_at: Moment = "received_at",
        scored_at: Moment = "scored_at",
        ; decided_at: Moment = "decided_at",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;

    const EVENT: &str = include_str!("../tests/golden/lead_qualified.json");

    /// What an event may be changed to hold instead of something else, so that it is nearly one.
    const ODDITIES: [&str; 24] = [
        "null",
        "[]",
        "{}",
        "\"\"",
        "0",
        "-0",
        "1.0",
        "1e1",
        "101",
        "true",
        "\"\\ud800\"",
        "\"\\u006eame\"",
        " ",
        ",",
        "\"x\":1,",
        "[82,\"high\"]",
        "\"score\":82,",
        "{\"a\":1,\"a\":2}",
        "\u{feff}",
        "\u{0}",
        "\"high\"",
        "\"2024-02-30T00:00:00Z\"",
        "\"lead_0192f3a1c0de7b3e9d2f4a5b6c7d8e9f\"",
        "1234567890123456789012345678901234567890",
    ];

    #[test]
    fn reads_an_event_as_the_careful_way_does() {
        for event in [
            EVENT,
            include_str!("../tests/golden/lead_rejected.json"),
            include_str!("../tests/golden/lead_review_requested.json"),
        ] {
            assert_eq!(read(event), Some(Event::parse_carefully(event).expect("it is an event")));
        }
    }

    /// Tokens of the event: strings, numbers, words and single marks.
    fn tokens(json: &str) -> Vec<&str> {
        let mut tokens = Vec::new();
        let mut rest = json;
        while let Some(first) = rest.chars().next() {
            let end = match first {
                '"' => 2 + rest[1..].find('"').expect("no escapes in there"),
                'a'..='z' | '0'..='9' => {
                    rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())
                }
                _ => first.len_utf8(),
            };
            tokens.push(&rest[..end]);
            rest = &rest[end..];
        }
        tokens
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn accepts_nothing_that_the_careful_way_reads_otherwise(
            changes in proptest::collection::vec((any::<Index>(), select(&ODDITIES[..]), 0..4_u8), 1..3),
        ) {
            let mut tokens = tokens(EVENT);
            for (at, oddity, how) in changes {
                let at = at.index(tokens.len());
                match how {
                    0 => tokens[at] = oddity,
                    1 => tokens.insert(at, oddity),
                    2 => drop(tokens.remove(at)),
                    _ => tokens.insert(at, tokens[at]),
                }
            }
            let json = tokens.concat();
            if let Some(event) = read(&json) {
                prop_assert_eq!(Event::parse_carefully(&json), Ok(event), "{}", json);
            }
        }
    }
}
