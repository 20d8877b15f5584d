//! Email addresses: the plain ones that people have, and the identity by which two of them are the same.

use std::borrow::Cow;
use std::fmt;

use email_address::EmailAddress;
use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

use crate::limits::{EMAIL_BYTES_MAX, EMAIL_LOCAL_BYTES_MAX};
use crate::text;

/// An email address: a dot-atom (RFC 5321, non-ASCII letters allowed as in RFC 6531), `@`, and a domain name of two labels
/// or more, ASCII or internationalised.
///
/// Two addresses name the same person where [`identity`](Self::identity) is equal; `==` compares the spelling too.
/// `Debug` reveals nothing. Does not ask whether the address exists, and strips neither dots nor `+tags`: that is
/// up to each mail provider.
///
/// # Example: one person, two spellings
///
/// ```
/// use agentflow_lead::Email;
///
/// let sent = Email::parse(" Jörg.Ellis@Bücher.example ")?;
/// assert_eq!(sent.as_sent(), "Jörg.Ellis@Bücher.example");
/// assert_eq!(sent.identity(), "jörg.ellis@xn--bcher-kva.example");
/// assert_eq!(sent.domain(), "xn--bcher-kva.example");
/// # Ok::<(), agentflow_lead::EmailError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    as_sent: Box<str>,
    identity: Box<str>,
    domain_from: usize,
}

/// Why a text is no email address that we accept. Never quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmailError {
    /// Nothing there.
    #[error("is blank")]
    Blank,
    /// More than [`EMAIL_BYTES_MAX`] bytes, as sent or in the form of its identity.
    #[error("must have at most {EMAIL_BYTES_MAX} bytes")]
    TooLong,
    /// No `@`.
    #[error("must have an @")]
    NoAt,
    /// The part before the `@` is empty, longer than [`EMAIL_LOCAL_BYTES_MAX`] bytes, or not a dot-atom.
    #[error("must have a plain name of at most {EMAIL_LOCAL_BYTES_MAX} bytes before the @")]
    Local,
    /// The part after the `@` is not a domain name.
    #[error("must have a domain name after the @")]
    Domain,
    /// The domain has one label only.
    #[error("must have a domain name with a dot after the @")]
    DomainOfOneLabel,
}

impl Email {
    /// Reads an address. White space (Unicode) around it is dropped.
    ///
    /// # Errors
    ///
    /// [`EmailError`]: blank; too long; or not a plain name, an `@` and a domain name. Quoted names, comments, display
    /// names and address literals are refused.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        let as_sent = text.trim();
        if text::is_blank(as_sent) {
            return Err(EmailError::Blank);
        }
        if as_sent.len() > EMAIL_BYTES_MAX {
            return Err(EmailError::TooLong);
        }
        let (local, domain) = as_sent.rsplit_once('@').ok_or(EmailError::NoAt)?;
        let mut identity = String::with_capacity(as_sent.len());
        identity.push_str(&local_identity(local)?);
        identity.push('@');
        let domain_from = identity.len();
        identity.push_str(&domain_identity(domain)?);
        if identity.len() > EMAIL_BYTES_MAX {
            return Err(EmailError::TooLong);
        }
        Ok(Self { as_sent: as_sent.into(), identity: identity.into(), domain_from })
    }

    /// The address as it was sent, trimmed: what to show and to write to.
    #[must_use]
    pub fn as_sent(&self) -> &str {
        &self.as_sent
    }

    /// The whole address in lower case, in normalisation form C, its domain in ASCII (UTS 46): what to compare by.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The domain of the [`identity`](Self::identity): ASCII, lower case.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.identity[self.domain_from..]
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

fn local_identity(local: &str) -> Result<Cow<'_, str>, EmailError> {
    if local.len() > EMAIL_LOCAL_BYTES_MAX || !(is_plain(local) || is_grammatical(local)) {
        return Err(EmailError::Local);
    }
    if local.is_ascii() {
        return Ok(in_lower_case(local));
    }
    // Letter by letter: `str::to_lowercase` looks at a sigma's neighbours, and identity must not.
    let lower: String = local.chars().flat_map(char::to_lowercase).collect();
    let normal = ComposingNormalizerBorrowed::new_nfc().normalize(&lower).into_owned();
    if normal.len() > EMAIL_LOCAL_BYTES_MAX { Err(EmailError::Local) } else { Ok(normal.into()) }
}

fn in_lower_case(ascii: &str) -> Cow<'_, str> {
    let is_lower = !ascii.bytes().any(|byte| byte.is_ascii_uppercase());
    if is_lower { ascii.into() } else { ascii.to_ascii_lowercase().into() }
}

/// What nearly every name and every domain is, which needs no grammar: letters and digits of ASCII, a dot here and there
/// between two of them.
fn is_plain(text: &str) -> bool {
    let mut before = b'.';
    for byte in text.bytes() {
        if !(byte.is_ascii_alphanumeric() || byte == b'.' && before != b'.') {
            return false;
        }
        before = byte;
    }
    before != b'.'
}

/// A dot-atom of letters that we accept, by the whole grammar.
fn is_grammatical(local: &str) -> bool {
    local.chars().all(is_local) && is_dot_atom(local)
}

/// What is no quote, and if it is not ASCII a letter, a digit, or a mark, with which many scripts write letters.
fn is_local(c: char) -> bool {
    if c.is_ascii() {
        return c != '"';
    }
    c.is_alphanumeric()
        || GeneralCategoryGroup::Mark.contains(CodePointMapData::<GeneralCategory>::new().get(c))
}

/// The grammar is `email_address`'s, of the ASCII characters: its notion of the others leaves out marks.
fn is_dot_atom(local: &str) -> bool {
    if local.is_ascii() {
        return EmailAddress::is_valid_local_part(local);
    }
    let skeleton: String = local.chars().map(|c| if c.is_ascii() { c } else { 'x' }).collect();
    EmailAddress::is_valid_local_part(&skeleton)
}

/// The domain in ASCII and lower case.
fn domain_identity(domain: &str) -> Result<Cow<'_, str>, EmailError> {
    let ascii =
        if is_plain_domain(domain) { in_lower_case(domain) } else { unusual_domain_identity(domain)? };
    if ascii.contains('.') { Ok(ascii) } else { Err(EmailError::DomainOfOneLabel) }
}

/// Plain as a name may be, and of labels that are short enough: nothing that UTS 46 would map, decode or refuse.
fn is_plain_domain(domain: &str) -> bool {
    const LABEL_BYTES_MAX: usize = 63;
    is_plain(domain)
        && domain.as_bytes().split(|byte| *byte == b'.').all(|label| label.len() <= LABEL_BYTES_MAX)
}

/// By the whole of UTS 46, which the plain ones need not.
fn unusual_domain_identity(domain: &str) -> Result<Cow<'_, str>, EmailError> {
    // UTS 46 would drop these silently; joiners are part of some scripts and it checks them itself.
    if domain.chars().any(|c| text::is_invisible(c) && !matches!(c, '\u{200C}' | '\u{200D}')) {
        return Err(EmailError::Domain);
    }
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .map_err(|_| EmailError::Domain)?;
    if EmailAddress::is_valid_domain(&ascii) { Ok(ascii) } else { Err(EmailError::Domain) }
}

#[cfg(test)]
mod tests {
    use super::{
        EMAIL_LOCAL_BYTES_MAX, in_lower_case, is_grammatical, is_plain, is_plain_domain,
        unusual_domain_identity,
    };

    /// Every text of up to five of these, and what is about as long as a label or a domain may be.
    fn texts() -> impl Iterator<Item = String> {
        const LETTERS: [&str; 7] = ["a", "Z", "0", ".", "-", "_", "xn--"];
        let short = (0..=5_u32).flat_map(|count| {
            (0..LETTERS.len().pow(count)).map(move |number| {
                (0..count).map(|place| LETTERS[number / LETTERS.len().pow(place) % LETTERS.len()]).collect()
            })
        });
        let long = (60..=66).flat_map(|bytes| {
            let label = "a".repeat(bytes);
            [format!("{label}.b"), format!("B.{label}"), [label.as_str(); 3].join("."), label]
        });
        short.chain(long)
    }

    #[test]
    fn what_is_plain_is_so_by_the_whole_grammar_too() {
        for text in texts() {
            if text.len() <= EMAIL_LOCAL_BYTES_MAX && is_plain(&text) {
                assert!(is_grammatical(&text), "{text}");
            }
            if is_plain_domain(&text) {
                assert_eq!(unusual_domain_identity(&text), Ok(in_lower_case(&text)), "{text}");
            }
        }
    }
}
