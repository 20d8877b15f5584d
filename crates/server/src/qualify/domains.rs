//! Classes of email domains and addresses, from committed lists.

use std::collections::HashSet;
use std::sync::LazyLock;

use agentflow_lead::Email;

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

static FREE_MAIL: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("lists/free_mail.txt").lines().collect());
static DISPOSABLE: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("lists/disposable.txt").lines().collect());
static ROLES: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("lists/role_addresses.txt").lines().collect());

/// The class of a domain in ASCII and lower case. Subdomains of a disposable domain are disposable too.
pub(super) fn classify(domain: &str, own_disposable: &[String]) -> DomainClass {
    let parents =
        || std::iter::successors(Some(domain), |rest| rest.split_once('.').map(|(_, parent)| parent));
    let own = |listed: &String| is_within(domain, listed);
    if parents().any(|parent| DISPOSABLE.contains(parent))
        || own_disposable.iter().take(OWN_DOMAINS_MAX).any(own)
    {
        DomainClass::Disposable
    } else if FREE_MAIL.contains(domain) {
        DomainClass::FreeMail
    } else {
        DomainClass::Business
    }
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
pub(super) fn mailbox(identity: &str) -> Mailbox {
    let local = identity.rsplit_once('@').map_or(identity, |(local, _)| local);
    let local = local.split_once('+').map_or(local, |(before, _)| before);
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
    const LEGAL_FORMS: [&str; 24] = [
        "inc",
        "llc",
        "ltd",
        "limited",
        "gmbh",
        "ag",
        "sa",
        "bv",
        "nv",
        "corp",
        "corporation",
        "co",
        "company",
        "plc",
        "oy",
        "ab",
        "as",
        "srl",
        "spa",
        "sas",
        "kg",
        "se",
        "the",
        "group",
    ];
    let named = || folded_company.split(' ').filter(|word| !word.is_empty() && !LEGAL_FORMS.contains(word));
    let fits = |label: &str| {
        let mut name = named().flat_map(str::chars);
        let mut label = label.chars().filter(|character| *character != '-');
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
    let labels = domain.rsplit_once('.').map_or("", |(labels, _)| labels);
    named().next().is_some() && labels.split('.').any(fits)
}

#[cfg(test)]
mod tests {
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
        assert!(FREE_MAIL.len() >= 60 && DISPOSABLE.len() >= 100);
        for domain in FREE_MAIL.iter().chain(DISPOSABLE.iter()) {
            assert!(
                domain.contains('.')
                    && domain.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
            );
        }
        assert!(FREE_MAIL.is_disjoint(&DISPOSABLE));
    }

    #[test]
    fn mailboxes_are_told_by_the_local_part() {
        assert_eq!(mailbox("info@x.co"), Mailbox::Role);
        assert_eq!(mailbox("sales+eu@x.co"), Mailbox::Role);
        assert_eq!(mailbox("no-reply@x.co"), Mailbox::NoReply);
        assert_eq!(mailbox("informant@x.co"), Mailbox::Personal);
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
