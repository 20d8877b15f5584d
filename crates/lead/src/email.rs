//! Email addresses: the plain ones that people have, and the identity by which two of them are the same.

use std::fmt;

use email_address::{EmailAddress, Options};
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
        let mut identity = local_identity(local)?;
        identity.push('@');
        let domain_from = identity.len();
        push_domain(&mut identity, domain)?;
        if identity.len() > EMAIL_BYTES_MAX {
            return Err(EmailError::TooLong);
        }
        let grammar =
            Options::default().with_minimum_sub_domains(2).without_domain_literal().without_display_text();
        EmailAddress::parse_with_options(&identity, grammar).map_err(fault)?;
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

fn local_identity(local: &str) -> Result<String, EmailError> {
    if local.is_empty() || local.len() > EMAIL_LOCAL_BYTES_MAX || !local.chars().all(is_local) {
        return Err(EmailError::Local);
    }
    if local.is_ascii() {
        return Ok(local.to_ascii_lowercase());
    }
    // Letter by letter: `str::to_lowercase` looks at a sigma's neighbours, and identity must not.
    let lower: String = local.chars().flat_map(char::to_lowercase).collect();
    let normal = ComposingNormalizerBorrowed::new_nfc().normalize(&lower).into_owned();
    if normal.len() > EMAIL_LOCAL_BYTES_MAX { Err(EmailError::Local) } else { Ok(normal) }
}

/// What the grammar of the `email_address` crate allows and we do not: quotes, and non-ASCII that is no letter.
fn is_local(c: char) -> bool {
    if c.is_ascii() {
        return c != '"';
    }
    // Many scripts write letters with marks.
    c.is_alphanumeric()
        || GeneralCategoryGroup::Mark.contains(CodePointMapData::<GeneralCategory>::new().get(c))
}

fn push_domain(identity: &mut String, domain: &str) -> Result<(), EmailError> {
    // UTS 46 would drop these silently; joiners are part of some scripts and it checks them itself.
    if domain.chars().any(|c| text::is_invisible(c) && !matches!(c, '\u{200C}' | '\u{200D}')) {
        return Err(EmailError::Domain);
    }
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .map_err(|_| EmailError::Domain)?;
    identity.push_str(&ascii);
    Ok(())
}

fn fault(error: email_address::Error) -> EmailError {
    use email_address::Error;
    match error {
        Error::DomainTooFew => EmailError::DomainOfOneLabel,
        Error::DomainEmpty
        | Error::DomainTooLong
        | Error::SubDomainEmpty
        | Error::SubDomainTooLong
        | Error::DomainInvalidSeparator
        | Error::UnsupportedDomainLiteral => EmailError::Domain,
        _ => EmailError::Local,
    }
}
