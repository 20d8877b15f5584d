//! Encryption at rest of what must be shown again: endpoint tokens and signing secrets. AES-256-GCM under the master key
//! in the data folder, each value bound to the id of its row.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use zeroize::Zeroizing;

use crate::record::SealedBytes;

/// Seals and opens with the master key.
pub struct Vault {
    key: RandomizedNonceKey,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

/// A sealed value that this master key, or this row, did not seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a stored secret cannot be decrypted: the master key in the data folder is not the one that sealed it"
)]
pub struct WrongKey;

impl Vault {
    /// Bytes of a master key.
    pub const KEY_BYTES: usize = 32;

    /// A vault under this key.
    pub fn new(master_key: &[u8; Self::KEY_BYTES]) -> Self {
        let key = RandomizedNonceKey::new(&AES_256_GCM, master_key).expect("32 bytes are a key of AES-256");
        Self { key }
    }

    /// Encrypts `text` for the row `id`. Shape: nonce, ciphertext, tag.
    pub fn seal(&self, id: &str, text: &str) -> SealedBytes {
        let mut bytes = text.as_bytes().to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(id.as_bytes()), &mut bytes)
            .expect("a secret is far below the cipher's limit");
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut bytes);
        SealedBytes(sealed)
    }

    /// Decrypts what was sealed for the row `id`; wiped on drop.
    ///
    /// # Errors
    /// [`WrongKey`] where key, row or bytes are not those of the sealing.
    pub fn open(&self, id: &str, sealed: &SealedBytes) -> Result<Zeroizing<String>, WrongKey> {
        let (nonce, sealed) = sealed.0.split_at_checked(NONCE_LEN).ok_or(WrongKey)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| WrongKey)?;
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let text =
            self.key.open_in_place(nonce, Aad::from(id.as_bytes()), &mut bytes).map_err(|_| WrongKey)?;
        std::str::from_utf8(text).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| WrongKey)
    }
}

#[cfg(test)]
mod tests {
    use super::{Vault, WrongKey};

    #[test]
    fn opens_only_with_the_key_and_the_row_that_sealed() {
        let vault = Vault::new(&[7; 32]);
        let sealed = vault.seal("sec_1", "whsec_abc");
        assert_eq!(vault.open("sec_1", &sealed).unwrap().as_str(), "whsec_abc");
        assert_eq!(vault.open("sec_2", &sealed), Err(WrongKey));
        assert_eq!(Vault::new(&[8; 32]).open("sec_1", &sealed), Err(WrongKey));
        let mut short = sealed.clone();
        short.0.truncate(5);
        assert_eq!(vault.open("sec_1", &short), Err(WrongKey));
        assert_ne!(vault.seal("sec_1", "whsec_abc"), sealed, "a nonce is never used twice");
    }
}
