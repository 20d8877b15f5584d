//! Which addresses are accepted, and which two are the same.

use agentflow_lead::{Email, EmailError};

#[track_caller]
fn check(text: &str, identity: &str) {
    let email = Email::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(email.identity(), identity, "{text}");
    assert_eq!(email.as_sent(), text.trim());
    assert_eq!(email.domain(), identity.rsplit_once('@').expect("an @").1);
}

#[track_caller]
fn refuses(text: &str, expected: EmailError) {
    assert_eq!(Email::parse(text).map(|email| email.identity().to_owned()), Err(expected), "{text}");
}

#[test]
fn accepts_plain_addresses() {
    check("jordan.ellis@stacklane.co", "jordan.ellis@stacklane.co");
    check(" Jordan.Ellis@StackLane.CO\n", "jordan.ellis@stacklane.co");
    check("a@b.co", "a@b.co");
    check("j+tag@x.co", "j+tag@x.co");
    check("!#$%&'*+-/=?^_`{|}~@x.co", "!#$%&'*+-/=?^_`{|}~@x.co");
    check("1@1.2", "1@1.2");
    check("o'brien@mail.example.museum", "o'brien@mail.example.museum");
    check("j@r3---sn-4g5e.example.com", "j@r3---sn-4g5e.example.com");
}

#[test]
fn accepts_letters_of_every_script() {
    check("JÖRG@x.co", "jörg@x.co");
    check("用户@例子.广告", "用户@xn--fsqu00a.xn--4rr70v");
    check("पुष्पेन्द्र@x.co", "पुष्पेन्द्र@x.co");
    check("เป็น@x.co", "เป็น@x.co");
    check("j@paral·lel.example", "j@xn--parallel-koa.example");
    check("j@نامه\u{200c}ای.com", "j@xn--mgba3gch31f060k.com");
    check("j@straße.example", "j@xn--strae-oqa.example");
}

#[test]
fn spellings_of_one_address_share_an_identity() {
    check("j@BÜCHER.example", "j@xn--bcher-kva.example");
    check("j@XN--BCHER-KVA.example", "j@xn--bcher-kva.example");
    check("j@bu\u{308}cher.example", "j@xn--bcher-kva.example");
    check("jo\u{308}rg@x.co", "jörg@x.co");
    check("ΟΔΟΣ@x.co", "οδοσ@x.co");
    check("j@ｅｘａｍｐｌｅ.com", "j@example.com");
}

#[test]
fn refuses_what_is_no_address() {
    for blank in ["", " ", "\u{3000}", "\u{200b}"] {
        refuses(blank, EmailError::Blank);
    }
    refuses("jordan", EmailError::NoAt);
    refuses("jordan.stacklane.co", EmailError::NoAt);
    for local in [
        "@x.co",
        ".j@x.co",
        "j.@x.co",
        "j..e@x.co",
        "j e@x.co",
        "j\te@x.co",
        "j@e@x.co",
        "j(work)@x.co",
        "j,e@x.co",
        "j:e@x.co",
        "j\\e@x.co",
        "j[e]@x.co",
        "j\r\nBcc:e@x.co",
        "j\u{7f}@x.co",
        "<j@x.co",
        "😀@x.co",
        "j\u{200b}@x.co",
        "j\u{a0}e@x.co",
        "j\u{202e}@x.co",
        "j＠e@x.co",
    ] {
        refuses(local, EmailError::Local);
    }
    for domain in [
        "j@",
        "j@.co",
        "j@x.",
        "j@x..co",
        "j@x.co.",
        "j@-x.co",
        "j@x-.co",
        "j@x.-co",
        "j@x_y.co",
        "j@x y.co",
        "j@x.co>",
        "j@x,co",
        "j@[127.0.0.1]",
        "j@[IPv6:::1]",
        "j@x.co:25",
        "j@x.co/",
        "j@xn--a.co",
        "j@xn--.co",
        "j@x\u{ad}y.co",
        "j@x\u{200b}.co",
        "j@x.co\u{0}",
        "j@\u{301}x.co",
        "j@☃\u{fe0f}.co",
    ] {
        refuses(domain, EmailError::Domain);
    }
    refuses("j@localhost", EmailError::DomainOfOneLabel);
    refuses("j@com", EmailError::DomainOfOneLabel);
}

#[test]
fn refuses_quotes_comments_and_display_names() {
    refuses("\"jordan ellis\"@x.co", EmailError::Local);
    refuses("\"j\"@x.co", EmailError::Local);
    refuses("(work)j@x.co", EmailError::Local);
    refuses("Jordan Ellis <j@x.co>", EmailError::Local);
    refuses("<j@x.co>", EmailError::Local);
    refuses("j@x.co(work)", EmailError::Domain);
    refuses("mailto:j@x.co", EmailError::Local);
    refuses("j@x.co, e@x.co", EmailError::Local);
}

#[test]
fn keeps_to_the_lengths_in_bytes() {
    check(&format!("{}@x.co", "j".repeat(64)), &format!("{}@x.co", "j".repeat(64)));
    refuses(&format!("{}@x.co", "j".repeat(65)), EmailError::Local);
    refuses(&format!("{}@x.co", "é".repeat(33)), EmailError::Local);
    // 64 bytes as sent, 96 in lower case.
    refuses(&format!("{}@x.co", "Ⱥ".repeat(32)), EmailError::Local);
    let label = "x".repeat(63);
    check(&format!("j@{label}.co"), &format!("j@{label}.co"));
    refuses(&format!("j@{label}x.co"), EmailError::Domain);
    let domain = format!("{label}.{label}.{}", "x".repeat(61));
    let longest = format!("{}@{domain}", "j".repeat(64));
    assert_eq!(longest.len(), 254);
    check(&longest, &longest);
    refuses(&format!("{longest}x"), EmailError::TooLong);
    // Short as sent, 259 bytes with its domain in ASCII.
    refuses(&format!("{}@{}co", "j".repeat(64), "é.".repeat(24)), EmailError::TooLong);
}
