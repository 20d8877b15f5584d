//! How a lead was scored.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::words;

/// A score or one of its dimensions: a whole number from 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub struct Score(u8);

/// A score above 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a score is from 0 to 100, not {0}")]
pub struct ScoreError(pub u8);

impl ScoreError {
    /// The stable code: `invalid_score`.
    pub const fn code(&self) -> &'static str {
        "invalid_score"
    }
}

impl Score {
    /// 0.
    pub const MIN: Self = Self(0);
    /// 100.
    pub const MAX: Self = Self(100);

    /// Takes a number from 0 to 100.
    ///
    /// # Errors
    ///
    /// [`ScoreError`] above 100.
    pub const fn new(value: u8) -> Result<Self, ScoreError> {
        if value <= 100 { Ok(Self(value)) } else { Err(ScoreError(value)) }
    }

    /// Takes any number; below 0 it counts as 0, above 100 as 100.
    pub const fn clamped(value: i64) -> Self {
        match value {
            ..=0 => Self::MIN,
            1..=99 => Self(value as u8),
            100.. => Self::MAX,
        }
    }

    /// The number, from 0 to 100.
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Score {
    type Error = ScoreError;

    fn try_from(value: u8) -> Result<Self, ScoreError> {
        Self::new(value)
    }
}

impl From<Score> for u8 {
    fn from(score: Score) -> Self {
        score.0
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

words! {
    /// How sure the scorer is of its score.
    pub enum Confidence ("a confidence") {
        /// Enough was known.
        High = "high",
        /// Something was missing.
        Medium = "medium",
        /// Little was known.
        Low = "low",
    }
}

words! {
    /// What the scorer would do.
    pub enum Action ("a recommended action") {
        /// Take the lead on.
        Approve = "approve",
        /// Let an operator look.
        Review = "review",
        /// Turn the lead away.
        Reject = "reject",
    }
}

/// The four sides of a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimensions {
    /// How well the company fits the ideal customer.
    pub company_fit: Score,
    /// How strongly the lead wants something.
    pub intent_strength: Score,
    /// How much speaks for a budget.
    pub budget_signal: Score,
    /// How soon it is to be.
    pub timeline: Score,
}

/// The score and its reasons.
///
/// `Debug` leaves the summary out: it may speak of the person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Qualification {
    /// The score as a whole.
    pub score: Score,
    /// How sure the scorer is.
    pub confidence: Confidence,
    /// One or two sentences that give the reasons.
    pub summary: String,
    /// What the scorer would do. The workspace's thresholds decide, not this.
    pub recommended_action: Action,
    /// The four sides of the score.
    pub dimensions: Dimensions,
    /// Which scorer it was, with its version: `rules/1`.
    pub scored_by: String,
}

impl fmt::Debug for Qualification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qualification")
            .field("score", &self.score)
            .field("confidence", &self.confidence)
            .field("recommended_action", &self.recommended_action)
            .field("dimensions", &self.dimensions)
            .field("scored_by", &self.scored_by)
            .finish_non_exhaustive()
    }
}
