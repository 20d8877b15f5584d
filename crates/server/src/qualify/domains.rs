//! Classes of email domains and addresses, from committed lists.

use std::sync::LazyLock;

use agentflow_lead::Email;
use foldhash::{HashMap, HashSet};

use super::text::words;

/// What kind of provider a domain belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DomainClass {
    /// Neither of the others.
    Business,
    /// Anybody gets an address there.
    FreeMail,
    /// Addresses that are thrown away.
    Disposable,
}

/// Most domains that are read from the workspace's own list.
const OWN_DOMAINS_MAX: usize = 1_000;

const FREE_MAIL: &str = include_str!("lists/free_mail.txt");
const DISPOSABLE: &str = include_str!("lists/disposable.txt");

/// The class of every listed domain.
static LISTED: LazyLock<HashMap<&str, DomainClass>> = LazyLock::new(|| {
    let free_mail = FREE_MAIL.lines().map(|domain| (domain, DomainClass::FreeMail));
    let disposable = DISPOSABLE.lines().map(|domain| (domain, DomainClass::Disposable));
    free_mail.chain(disposable).collect()
});
static ROLES: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("lists/role_addresses.txt").lines().collect());

/// The class of a domain in ASCII and lower case. Subdomains of a disposable domain are disposable too.
pub(super) fn classify(domain: &str, own_disposable: &[String]) -> DomainClass {
    let listed = &*LISTED;
    let class = listed.get(domain).copied().unwrap_or(DomainClass::Business);
    let is_disposable = |parent: &str| listed.get(parent) == Some(&DomainClass::Disposable);
    let own = |listed: &String| is_within(domain, listed);
    if class == DomainClass::Disposable
        || parents(domain).any(is_disposable)
        || own_disposable.iter().take(OWN_DOMAINS_MAX).any(own)
    {
        return DomainClass::Disposable;
    }
    class
}

/// The domains that `domain` is under, the nearest first.
fn parents(domain: &str) -> impl Iterator<Item = &str> {
    fn parent(domain: &str) -> Option<&str> {
        domain.bytes().position(|byte| byte == b'.').map(|dot| &domain[dot + 1..])
    }
    std::iter::successors(parent(domain), |domain| parent(domain))
}

/// Whether `domain` is `listed` or under it; `listed` as a person writes it: any case, `@` or `*.` before it.
fn is_within(domain: &str, listed: &str) -> bool {
    let listed = listed.trim().trim_start_matches(['@', '*', '.']).trim_end_matches('.');
    if listed.is_ascii() {
        return ends_with_domain(domain, listed);
    }
    Email::parse(&format!("any@{listed}")).is_ok_and(|email| ends_with_domain(domain, email.domain()))
}

fn ends_with_domain(domain: &str, parent: &str) -> bool {
    let Some(split) = domain.len().checked_sub(parent.len()) else { return false };
    let (before, end) = domain.as_bytes().split_at(split);
    !parent.is_empty()
        && end.eq_ignore_ascii_case(parent.as_bytes())
        && matches!(before.last(), None | Some(b'.'))
}

/// What kind of mailbox an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mailbox {
    /// Somebody's own, as far as one can tell.
    Personal,
    /// A function's, like `info`.
    Role,
    /// Nobody reads it.
    NoReply,
}

/// The kind of mailbox by the local part of an address in lower case; what follows a plus does not count.
pub(super) fn mailbox(email: &Email) -> Mailbox {
    let identity = email.identity();
    let local = &identity[..identity.len() - email.domain().len() - 1];
    let local = local.bytes().position(|byte| byte == b'+').map_or(local, |plus| &local[..plus]);
    if matches!(
        local,
        "noreply" | "no-reply" | "no.reply" | "no_reply" | "donotreply" | "do-not-reply" | "mailer-daemon"
    ) {
        Mailbox::NoReply
    } else if ROLES.contains(local) {
        Mailbox::Role
    } else {
        Mailbox::Personal
    }
}

/// Whether a company's folded name and a domain go together: a label of the domain is the name, or one begins the other
/// and the shorter has four letters or more. Legal forms do not count.
pub(super) fn is_company_of(folded_company: &str, domain: &str) -> bool {
    let named = || words(folded_company).map(|word| word.letters).filter(|word| !is_legal_form(word));
    // A label is ASCII, so what differs from it in a letter differs in its first byte.
    let fits = |label: &[u8]| {
        let mut name = named().flatten();
        let mut label = label.iter().filter(|byte| **byte != b'-');
        let mut shared = 0;
        loop {
            match (name.next(), label.next()) {
                (Some(letter), Some(other)) if letter == other => shared += 1,
                (Some(_), Some(_)) => return false,
                (None, None) => return true,
                (Some(_), None) | (None, Some(_)) => return shared >= 4,
            }
        }
    };
    let labels = domain.bytes().rposition(|byte| byte == b'.').map_or("", |dot| &domain[..dot]);
    named().next().is_some() && labels.as_bytes().split(|byte| *byte == b'.').any(fits)
}

#[rustfmt::skip] // One line of them, not twenty-four.
fn is_legal_form(word: &[u8]) -> bool {
    matches!(
        word,
        b"inc" | b"llc" | b"ltd" | b"limited" | b"gmbh" | b"ag" | b"sa" | b"bv" | b"nv" | b"corp" | b"corporation" | b"co" | b"company"
            | b"plc" | b"oy" | b"ab" | b"as" | b"srl" | b"spa" | b"sas" | b"kg" | b"se" | b"the" | b"group"
    )
}

#[cfg(test)]
mod tests {
    use agentflow_lead::Email;

    use super::{DISPOSABLE, DomainClass, FREE_MAIL, Mailbox, classify, is_company_of, mailbox};
    use crate::qualify::text::fold;

    #[test]
    fn classes_follow_the_lists_and_subdomains_of_disposable_ones() {
        let own = ["@Throw.Example".to_owned(), "*.bücher.example".to_owned(), String::new()];
        for (domain, expected) in [
            ("stacklane.co", DomainClass::Business),
            ("gmail.com", DomainClass::FreeMail),
            ("mail.gmail.com", DomainClass::Business),
            ("mailinator.com", DomainClass::Disposable),
            ("a.b.mailinator.com", DomainClass::Disposable),
            ("notmailinator.com", DomainClass::Business),
            ("throw.example", DomainClass::Disposable),
            ("x.throw.example", DomainClass::Disposable),
            ("overthrow.example", DomainClass::Business),
            ("xn--bcher-kva.example", DomainClass::Disposable),
        ] {
            assert_eq!(classify(domain, &own), expected, "{domain}");
        }
    }

    #[test]
    fn the_lists_are_in_lower_case_long_enough_and_apart() {
        assert!(FREE_MAIL.lines().count() >= 60 && DISPOSABLE.lines().count() >= 100);
        for domain in FREE_MAIL.lines().chain(DISPOSABLE.lines()) {
            assert!(
                domain.contains('.')
                    && domain.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
            );
        }
        assert!(!FREE_MAIL.lines().any(|domain| DISPOSABLE.lines().any(|other| other == domain)));
    }

    #[test]
    fn mailboxes_are_told_by_the_local_part() {
        for (email, expected) in [
            ("info@x.co", Mailbox::Role),
            ("Sales+eu@x.co", Mailbox::Role),
            ("no-reply@x.co", Mailbox::NoReply),
            ("informant@x.co", Mailbox::Personal),
        ] {
            assert_eq!(mailbox(&Email::parse(email).unwrap()), expected, "{email}");
        }
    }

    #[test]
    fn companies_match_their_domains() {
        for (company, domain, expected) in [
            ("Stacklane", "stacklane.co", true),
            ("Stack-Lane, Inc.", "stacklane.co", true),
            ("Northwind Traders GmbH", "mail.northwind.de", true),
            ("IBM", "ibm.com", true),
            ("IBM", "ibmfans.com", false),
            ("Acme", "globex.com", false),
            ("Com", "globex.com", false),
            ("The Company Ltd.", "globex.com", false),
        ] {
            assert_eq!(is_company_of(&fold(company, 800), domain), expected, "{company} {domain}");
        }
    }
}
