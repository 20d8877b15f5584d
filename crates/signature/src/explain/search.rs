//! The search for the mistakes after which one of the secrets makes a tag that was sent: from likely to unlikely, and
//! bounded.

use alloc::vec::Vec;

use sha2::{Digest, Sha256};

use super::budget::Budget;
use super::json::Document;
use super::stamp::{Signed, Stamp};
use super::{Mistake, bodies, keys, messages};
use crate::hex::Tag;
use crate::mac::Key;

/// Secrets, the first of them, that are tried with other mistakes.
const SUSPECTS_MAX: usize = 3;

/// A secret, and what is wrong if it was used as it is.
pub(super) struct Suspect<'a> {
    pub(super) text: &'a str,
    pub(super) mistake: Option<Mistake>,
}

/// What was wrong with the secret, then with what was signed. Empty: nothing.
type Hit = Vec<Mistake>;

fn hit(mistakes: impl IntoIterator<Item = Option<Mistake>>) -> Hit {
    mistakes.into_iter().flatten().collect()
}

struct Keyed<'a> {
    suspect: Suspect<'a>,
    key: Key,
}

/// One request and all that may have signed it.
pub(super) struct Case<'a> {
    secrets: Vec<Keyed<'a>>,
    stamp: &'a Stamp<'a>,
    /// The header's value first.
    signed: Vec<Signed>,
    body: &'a [u8],
    json: Option<Document<'a>>,
}

impl<'a> Case<'a> {
    pub(super) fn new(
        suspects: impl Iterator<Item = Suspect<'a>>,
        stamp: &'a Stamp<'a>,
        timestamp_in_signature: Option<&[u8]>,
        body: &'a [u8],
    ) -> Self {
        let keyed = |suspect: Suspect<'a>| Keyed { key: Key::new(suspect.text.as_bytes()), suspect };
        Self {
            secrets: suspects.map(keyed).collect(),
            stamp,
            signed: stamp.likely(timestamp_in_signature),
            body,
            json: Document::parse(body),
        }
    }

    /// The mistakes after which one of `tags` comes out, or `None` where none of those tried does.
    pub(super) fn search(&self, tags: &[Tag]) -> Option<Hit> {
        if tags.is_empty() {
            return None;
        }
        let budget = &mut Budget::new(tags);
        self.as_they_are(budget)
            .or_else(|| self.other_keys(budget, &[self.body]))
            .or_else(|| self.other_messages(budget, &[self.body]))
            .or_else(|| self.other_bodies(budget))
            .or_else(|| self.other_times(budget))
            .or_else(|| self.other_hashes(budget))
            .or_else(|| self.pairs(budget))
    }

    fn suspects(&self) -> impl Iterator<Item = &Keyed<'a>> {
        self.secrets.iter().take(SUSPECTS_MAX)
    }

    /// The timestamp as sent.
    fn sent(&self) -> &Signed {
        &self.signed[0]
    }

    /// Every secret, with whatever the timestamp header may stand for. The body may have any length here.
    fn as_they_are(&self, budget: &mut Budget<'_>) -> Option<Hit> {
        self.signed.iter().find_map(|signed| {
            let mut secrets = self.secrets.iter();
            secrets.find_map(|one| {
                budget
                    .makes_at_any_length(&one.key, &[&signed.text, b".", self.body])
                    .then(|| hit([one.suspect.mistake, signed.mistake]))
            })
        })
    }

    fn other_keys(&self, budget: &mut Budget<'_>, body: &[&[u8]]) -> Option<Hit> {
        self.suspects().find_map(|one| {
            keys::find(one.suspect.text, |key, mistake| {
                let message = [&[self.sent().text.as_slice(), b"."], body].concat();
                budget.makes(&Key::new(key), &message).then(|| hit([one.suspect.mistake, Some(mistake)]))
            })
        })
    }

    fn other_messages(&self, budget: &mut Budget<'_>, body: &[&[u8]]) -> Option<Hit> {
        self.suspects().find_map(|one| {
            messages::find(&self.sent().text, body, |pieces, mistake| {
                budget.makes(&one.key, pieces).then(|| hit([one.suspect.mistake, Some(mistake)]))
            })
        })
    }

    fn other_bodies(&self, budget: &mut Budget<'_>) -> Option<Hit> {
        // Each body is made once, for all secrets.
        bodies::find(self.body, self.json.as_ref(), |body, mistake| {
            let message = [&[self.sent().text.as_slice(), b"."], body].concat();
            self.suspects().find_map(|one| {
                budget.makes(&one.key, &message).then(|| hit([one.suspect.mistake, Some(mistake)]))
            })
        })
    }

    /// The clock was read once for the header and once for the signature.
    fn other_times(&self, budget: &mut Budget<'_>) -> Option<Hit> {
        self.stamp.neighbours().find_map(|signed| {
            self.suspects().find_map(|one| {
                budget
                    .makes(&one.key, &[&signed.text, b".", self.body])
                    .then(|| hit([one.suspect.mistake, signed.mistake]))
            })
        })
    }

    /// Not an HMAC, or one with key and message swapped.
    fn other_hashes(&self, budget: &mut Budget<'_>) -> Option<Hit> {
        let timestamp = self.sent().text.as_slice();
        let plain = |budget: &mut Budget<'_>, pieces: &[&[u8]]| {
            budget.is_plain(pieces).then(|| hit([Some(Mistake::NotAnHmac)]))
        };
        let swapped = |budget: &mut Budget<'_>, secret: &[u8], pieces: &[&[u8]]| {
            let digest = |budget: &mut Budget<'_>| -> Option<Key> {
                // A key longer than a block is its hash; a shorter one is taken as it is.
                let length: usize = pieces.iter().map(|piece| piece.len()).sum();
                budget.take(length).then(|| match length {
                    0..=64 => Key::new(&pieces.concat()),
                    _ => Key::new(
                        &pieces.iter().fold(Sha256::new(), |hash, piece| hash.chain_update(piece)).finalize(),
                    ),
                })
            };
            let key = digest(budget)?;
            budget.makes(&key, &[secret]).then(|| hit([Some(Mistake::KeyAndMessageSwapped)]))
        };
        let found = plain(budget, &[timestamp, b".", self.body]).or_else(|| plain(budget, &[self.body]));
        found.or_else(|| {
            self.suspects().find_map(|one| {
                let secret = one.suspect.text.as_bytes();
                plain(budget, &[secret, timestamp, b".", self.body])
                    .or_else(|| plain(budget, &[timestamp, b".", self.body, secret]))
                    .or_else(|| plain(budget, &[secret, self.body]))
                    .or_else(|| plain(budget, &[self.body, secret]))
                    .or_else(|| swapped(budget, secret, &[timestamp, b".", self.body]))
                    .or_else(|| swapped(budget, secret, &[self.body]))
            })
        })
    }

    /// A likely body together with another mistake.
    fn pairs(&self, budget: &mut Budget<'_>) -> Option<Hit> {
        bodies::find_likely(self.body, self.json.as_ref(), |body, mistake| {
            let with = |mut hit: Hit| {
                hit.push(mistake);
                hit
            };
            let times = |budget: &mut Budget<'_>| {
                self.signed.iter().skip(1).find_map(|signed| {
                    let message = [&[signed.text.as_slice(), b"."], body].concat();
                    self.suspects().find_map(|one| {
                        budget.makes(&one.key, &message).then(|| hit([one.suspect.mistake, signed.mistake]))
                    })
                })
            };
            times(budget)
                .or_else(|| self.other_keys(budget, body))
                .or_else(|| self.other_messages(budget, body))
                .map(with)
        })
    }
}
