//! All that is known of a lead beside its message: address, company, source, additional fields.

use std::borrow::Cow;

use agentflow_lead::{RawValue, Submission};

use super::amounts::Currency;
use super::domains::{self, DomainClass, Mailbox};
use super::lexicon::{Found, Group, look_up};
use super::sheet::{self, Sheet};
use super::text::{beginning, fold, fold_in, fold_into, words};
use super::{hints, keywords::Keywords};
use crate::record::ScoringRules;

/// Bytes read of one additional field, and of all of them together.
const FIELD_BYTES_MAX: usize = 1_024;
const FIELDS_BYTES_MAX: usize = 8_192;
/// Additional fields looked at.
const FIELDS_MAX: usize = 256;
/// Bytes read of a company, a source or a name; four a character, so all of it.
const LABEL_BYTES_MAX: usize = 800;
/// Preferred sources read from the settings.
const SOURCES_MAX: usize = 200;

/// Between texts that no phrase may span.
const SEAM: &str = "\u{1}";

/// Notes the signals of everything but the message. `buffer` is memory for folded texts.
pub(super) fn note(
    sheet: &mut Sheet,
    lead: &Submission,
    rules: &ScoringRules,
    keywords: &mut Keywords<'_>,
    buffer: &mut String,
) {
    let class = note_address(sheet, lead, rules);
    note_name(sheet, fold_in(buffer, &lead.name, LABEL_BYTES_MAX));
    let searched = buffer;
    searched.clear();
    if let Some(company) = &lead.company {
        sheet.note(&sheet::COMPANY_NAMED);
        fold_into(searched, beginning(company, LABEL_BYTES_MAX));
        if class == DomainClass::Business && domains::is_company_of(searched, lead.email.domain()) {
            sheet.note(&sheet::COMPANY_MATCHES_DOMAIN);
        }
    }
    if let Some(source) = &lead.source {
        // No keyword is looked for in it.
        let start = searched.len();
        fold_into(searched, beginning(source, LABEL_BYTES_MAX));
        note_source(sheet, &searched[start..], rules);
        searched.truncate(start);
    }
    note_fields(sheet, lead, keywords, searched);
    keywords.note_found(sheet, searched);
    sheet.limit(&sheet::CONTEXT_LIMIT, 6, 75);
}

fn note_address(sheet: &mut Sheet, lead: &Submission, rules: &ScoringRules) -> DomainClass {
    let class = domains::classify(lead.email.domain(), &rules.disposable_domains);
    sheet.note(match class {
        DomainClass::Business => &sheet::BUSINESS_DOMAIN,
        DomainClass::FreeMail => &sheet::FREE_MAIL_DOMAIN,
        DomainClass::Disposable => &sheet::DISPOSABLE_DOMAIN,
    });
    match domains::mailbox(&lead.email) {
        Mailbox::Personal => {}
        Mailbox::Role => sheet.note(&sheet::ROLE_ADDRESS),
        Mailbox::NoReply => sheet.note(&sheet::NO_REPLY_ADDRESS),
    }
    class
}

fn note_name(sheet: &mut Sheet, name: &str) {
    if words(name).any(|word| matches!(word.letters, b"http" | b"https" | b"www")) {
        sheet.note(&sheet::LINK_IN_NAME);
    }
}

fn note_source(sheet: &mut Sheet, source: &str, rules: &ScoringRules) {
    let is_source =
        |preferred: &String| !source.trim().is_empty() && fold(preferred, LABEL_BYTES_MAX) == source;
    let found = look_up(source);
    if rules.preferred_sources.iter().take(SOURCES_MAX).any(is_source) {
        sheet.note(&sheet::SOURCE_PREFERRED);
    } else if found.has(Group::SourceWeak) {
        sheet.note(&sheet::SOURCE_WEAK);
    } else if found.has(Group::SourceStrong) {
        sheet.note(&sheet::SOURCE_STRONG);
    }
}

/// Notes what the fields with known names say, and appends the text of those in which somebody looks to `searched`.
fn note_fields(sheet: &mut Sheet, lead: &Submission, keywords: &Keywords<'_>, searched: &mut String) {
    let mut bytes_left = FIELDS_BYTES_MAX;
    for (key, value) in lead.fields.iter().take(FIELDS_MAX) {
        let text = text_of(value, FIELD_BYTES_MAX.min(bytes_left));
        bytes_left -= text.len().min(bytes_left);
        let topic = Topic::of(key);
        if text.is_empty() || (topic.is_none() && !keywords.are_open()) {
            continue;
        }
        searched.push_str(SEAM);
        let start = searched.len();
        fold_into(searched, &text);
        if let Some(topic) = topic {
            note_field(sheet, topic, &text, &searched[start..]);
        }
    }
}

/// What a field speaks of.
#[derive(Clone, Copy)]
enum Topic {
    Budget,
    Timeline,
    Size,
    Phone,
    JobTitle,
}

impl Topic {
    /// By the field's name: the letters and digits of its beginning, whatever their case.
    fn of(key: &str) -> Option<Self> {
        const BYTES_MAX: usize = 64;
        let mut name = [0; BYTES_MAX];
        let mut length = 0;
        for byte in beginning(key, BYTES_MAX).bytes().filter(u8::is_ascii_alphanumeric) {
            name[length] = byte.to_ascii_lowercase();
            length += 1;
        }
        match &name[..length] {
            name if has(name, b"budget") => Some(Self::Budget),
            name if has(name, b"timeline") || has(name, b"timeframe") || has(name, b"urgency") => {
                Some(Self::Timeline)
            }
            b"employees" | b"numberofemployees" | b"employeecount" | b"companysize" | b"teamsize"
            | b"headcount" | b"seats" | b"users" => Some(Self::Size),
            b"phone" | b"phonenumber" | b"telephone" | b"tel" | b"mobile" => Some(Self::Phone),
            b"jobtitle" | b"title" | b"role" | b"position" => Some(Self::JobTitle),
            _ => None,
        }
    }
}

/// Whether a name has this part; names are short, and a search takes longer to begin than to compare at each place.
fn has<const BYTES: usize>(name: &[u8], part: &[u8; BYTES]) -> bool {
    name.windows(BYTES).any(|window| window == part)
}

fn note_field(sheet: &mut Sheet, topic: Topic, text: &str, folded: &str) {
    if folded.trim().is_empty() {
        return;
    }
    match topic {
        Topic::Budget => note_budget(sheet, text, folded),
        Topic::Timeline => hints::note_timeline(sheet, look_up(folded)),
        Topic::Size => note_size(sheet, text),
        Topic::Phone => {
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            if (6..=20).contains(&digits) {
                note_once(sheet, &sheet::PHONE_GIVEN);
            }
        }
        Topic::JobTitle => note_job_title(sheet, look_up(folded)),
    }
}

fn note_budget(sheet: &mut Sheet, text: &str, folded: &str) {
    let says_none = matches!(folded.trim(), "0" | "none" | "no" | "false" | "n a" | "nothing");
    if says_none {
        hints::note_no_budget(sheet);
    } else {
        hints::note_budget(sheet, text, look_up(folded), Currency::Implied);
    }
}

fn note_size(sheet: &mut Sheet, text: &str) {
    if sheet.has(&sheet::COMPANY_SIZE_LARGE) || sheet.has(&sheet::COMPANY_SIZE_MEDIUM) {
        return;
    }
    match super::amounts::largest(text, Currency::Implied) {
        Some(50..) => sheet.note(&sheet::COMPANY_SIZE_LARGE),
        Some(10..) => sheet.note(&sheet::COMPANY_SIZE_MEDIUM),
        _ => {}
    }
}

fn note_job_title(sheet: &mut Sheet, found: Found) {
    if sheet.has(&sheet::JOB_TITLE_NOT_A_BUYER) || sheet.has(&sheet::JOB_TITLE_DECIDES) {
        return;
    }
    if found.has(Group::NotABuyer) {
        sheet.note(&sheet::JOB_TITLE_NOT_A_BUYER);
    } else if found.has(Group::DecisionMaker) {
        sheet.note(&sheet::JOB_TITLE_DECIDES);
    }
}

fn note_once(sheet: &mut Sheet, kind: &sheet::Kind) {
    if !sheet.has(kind) {
        sheet.note(kind);
    }
}

/// A JSON value as text: a string's content, nothing for null, anything else as it was sent.
fn text_of(value: &RawValue, bytes_max: usize) -> Cow<'_, str> {
    let json = value.get();
    if json == "null" {
        return Cow::Borrowed("");
    }
    let string = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    let Some(string) = string.filter(|_| json.len() <= 2 * FIELD_BYTES_MAX) else {
        return Cow::Borrowed(beginning(json, bytes_max));
    };
    if !string.contains('\\') {
        return Cow::Borrowed(beginning(string, bytes_max));
    }
    let text: String = serde_json::from_str(json).unwrap_or_else(|_| json.to_owned());
    Cow::Owned(beginning(&text, bytes_max).to_owned())
}
