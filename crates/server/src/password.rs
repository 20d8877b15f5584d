//! Operators' passwords: made at random, kept as argon2id hashes.

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use crate::id::random;

/// Memory in KiB, passes and lanes that OWASP's password storage guide asks for.
const COST: (u32, u32, u32) = (19 * 1_024, 2, 1);

/// A fresh password of 120 random bits.
pub fn generate() -> Zeroizing<String> {
    Zeroizing::new(Base64UrlUnpadded::encode_string(&random::<15>()))
}

/// The hash that is kept, a PHC string. Takes tens of milliseconds: not for the threads that serve requests.
pub fn hash(password: &str) -> String {
    hasher()
        .hash_password_with_salt(password.as_bytes(), &random::<16>())
        .expect("sixteen bytes are a salt and no password is too long")
        .to_string()
}

/// Whether this is the password; takes as long as [`hash`].
pub fn is_right(password: &str, hash: &str) -> bool {
    hasher().verify_password(password.as_bytes(), hash).is_ok()
}

fn hasher() -> Argon2<'static> {
    let (memory_kib, passes, lanes) = COST;
    let params = Params::new(memory_kib, passes, lanes, None).expect("the costs are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    use super::{generate, hash, is_right};

    #[test]
    fn only_the_password_fits_its_hash() {
        let password = generate();
        let hash = hash(&password);
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(is_right(&password, &hash));
        assert!(!is_right("another", &hash));
        assert!(!is_right(&password, "no hash"));
        assert_ne!(generate(), password);
    }
}
