//! Encryption at rest of what must be shown again: endpoint tokens and signing secrets. XChaCha20-Poly1305 under a master
//! key, each value bound to the id of its row, and marked with the key that sealed it.
//!
//! A value is `"AFX1"`, the key's id (8 bytes), a random nonce (24 bytes), the ciphertext and its tag (16 bytes); the first
//! twelve bytes and the row's id are authenticated with it. Values without that mark were sealed by the first version of the
//! server, by AES-256-GCM, and are still opened.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64ct::{Base64, Encoding};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::directory::sha256;
use crate::id::random;
use crate::record::SealedBytes;

/// 32 secret bytes. No `Display`; its `Debug` reveals nothing; wiped on drop.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey(Zeroizing<[u8; Vault::KEY_BYTES]>);

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

impl MasterKey {
    /// A fresh key.
    pub fn generate() -> Self {
        Self(Zeroizing::new(random()))
    }

    /// A key from a file or variable: its 32 bytes as they are, or as 64 hex digits or base64, white space around it.
    pub fn parse(given: &[u8]) -> Option<Self> {
        if let Ok(bytes) = given.try_into() {
            return Some(Self(Zeroizing::new(bytes)));
        }
        let text = std::str::from_utf8(given).ok()?.trim();
        let mut bytes = Zeroizing::new([0; Vault::KEY_BYTES]);
        if text.len() == 2 * Vault::KEY_BYTES {
            hex_into(text, &mut *bytes)?;
            return Some(Self(bytes));
        }
        // Decoded into more room than a key needs, so that a longer text is seen to be longer.
        let mut room = Zeroizing::new([0; 2 * Vault::KEY_BYTES]);
        let decoded = Base64::decode(text, &mut *room).ok()?;
        bytes.copy_from_slice(<&[u8; Vault::KEY_BYTES]>::try_from(decoded).ok()?);
        Some(Self(bytes))
    }

    /// The bytes, for the file that keeps them.
    pub fn expose(&self) -> &[u8; Vault::KEY_BYTES] {
        &self.0
    }

    /// What tells keys apart; reveals nothing of the key.
    pub fn id(&self) -> KeyId {
        let mut named = Zeroizing::new(b"agentflow master key id\0".to_vec());
        named.extend_from_slice(&*self.0);
        let digest = sha256(&named);
        KeyId(digest[..8].try_into().expect("eight of 32 bytes"))
    }
}

fn hex_into(text: &str, bytes: &mut [u8]) -> Option<()> {
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok().filter(|pair| !pair.starts_with('+'))?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(())
}

/// Tells master keys apart; shown as 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// Seals and opens with the master key.
pub struct Vault {
    id: KeyId,
    cipher: XChaCha20Poly1305,
    first_version: RandomizedNonceKey,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.id)
    }
}

/// Why a sealed value is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// Another key sealed it.
    #[error(
        "the stored secrets were encrypted under the master key {sealed_under}, and the one at hand is {at_hand}"
    )]
    WrongKey {
        /// Which one did.
        sealed_under: KeyId,
        /// The vault's.
        at_hand: KeyId,
    },
    /// It is not what this key sealed for this row. Of values of the first version: or another key sealed it.
    #[error(
        "a stored secret cannot be decrypted: it was damaged or moved to another row, or the master key {at_hand} is not the one that encrypted it"
    )]
    Damaged {
        /// The vault's.
        at_hand: KeyId,
    },
}

const MARK: &[u8; 4] = b"AFX1";
const HEAD_BYTES: usize = MARK.len() + 8;
const XNONCE_BYTES: usize = 24;

impl Vault {
    /// Bytes of a master key.
    pub const KEY_BYTES: usize = 32;

    /// A vault under this key.
    pub fn new(master_key: &[u8; Self::KEY_BYTES]) -> Self {
        Self::under(&MasterKey(Zeroizing::new(*master_key)))
    }

    /// A vault under this key.
    pub fn under(master_key: &MasterKey) -> Self {
        let bytes = master_key.expose();
        let first_version = RandomizedNonceKey::new(&AES_256_GCM, bytes);
        Self {
            id: master_key.id(),
            cipher: XChaCha20Poly1305::new(bytes.into()),
            first_version: first_version.expect("32 bytes are a key of AES-256"),
        }
    }

    /// Its key's id.
    pub fn key_id(&self) -> KeyId {
        self.id
    }

    /// Encrypts `text` for the row `id`.
    pub fn seal(&self, id: &str, text: &str) -> SealedBytes {
        let mut sealed = [MARK.as_slice(), &self.id.0].concat();
        let nonce: [u8; XNONCE_BYTES] = random();
        let aad = [sealed.as_slice(), id.as_bytes()].concat();
        let payload = Payload { msg: text.as_bytes(), aad: &aad };
        let mut ciphertext = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a secret is far below the cipher's limit");
        sealed.extend_from_slice(&nonce);
        sealed.append(&mut ciphertext);
        SealedBytes(sealed)
    }

    /// Decrypts what was sealed for the row `id`; wiped on drop.
    ///
    /// # Errors
    /// [`VaultError`] where key, row or bytes are not those of the sealing.
    pub fn open(&self, id: &str, sealed: &SealedBytes) -> Result<Zeroizing<String>, VaultError> {
        let opened = match Self::key_of(sealed) {
            Some(key) if key == self.id => self.open_marked(id, sealed),
            _ => None,
        };
        // The first version's values begin at random, with a mark by a very rare chance.
        let opened = opened.or_else(|| self.open_first_version(id, sealed));
        let damaged = VaultError::Damaged { at_hand: self.id };
        let bytes = opened.ok_or(match Self::key_of(sealed) {
            Some(key) if key != self.id => VaultError::WrongKey { sealed_under: key, at_hand: self.id },
            _ => damaged,
        })?;
        std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| damaged)
    }

    /// The key that the value says to be sealed under; nothing for values of the first version.
    pub fn key_of(sealed: &SealedBytes) -> Option<KeyId> {
        let id = sealed.0.strip_prefix(MARK)?.get(..8)?;
        Some(KeyId(id.try_into().ok()?))
    }

    fn open_marked(&self, id: &str, sealed: &SealedBytes) -> Option<Zeroizing<Vec<u8>>> {
        let (head, rest) = sealed.0.split_at_checked(HEAD_BYTES)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<XNONCE_BYTES>()?;
        let aad = [head, id.as_bytes()].concat();
        let payload = Payload { msg: ciphertext, aad: &aad };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).ok().map(Zeroizing::new)
    }

    fn open_first_version(&self, id: &str, sealed: &SealedBytes) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.0.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = Zeroizing::new(sealed.to_vec());
        let text = self.first_version.open_in_place(nonce, Aad::from(id.as_bytes()), &mut bytes).ok()?;
        Some(Zeroizing::new(text.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::{AES_256_GCM, Aad, RandomizedNonceKey};

    use super::{MasterKey, Vault, VaultError};
    use crate::record::SealedBytes;

    fn key(byte: u8) -> MasterKey {
        MasterKey::parse(&[byte; 32]).unwrap()
    }

    #[test]
    fn opens_only_with_the_key_and_the_row_that_sealed() {
        let (vault, other) = (Vault::new(&[7; 32]), Vault::under(&key(8)));
        let sealed = vault.seal("sec_1", "whsec_abc");
        assert_eq!(vault.open("sec_1", &sealed).unwrap().as_str(), "whsec_abc");
        let damaged = Err(VaultError::Damaged { at_hand: vault.key_id() });
        assert_eq!(vault.open("sec_2", &sealed), damaged, "a value belongs to its row");
        let wrong = VaultError::WrongKey { sealed_under: vault.key_id(), at_hand: other.key_id() };
        assert_eq!(other.open("sec_1", &sealed), Err(wrong));
        for length in 0..sealed.0.len() {
            assert!(vault.open("sec_1", &SealedBytes(sealed.0[..length].to_vec())).is_err(), "{length}");
        }
        for at in 0..sealed.0.len() {
            let mut bent = sealed.clone();
            bent.0[at] ^= 1;
            assert!(vault.open("sec_1", &bent).is_err(), "{at}");
        }
        assert_ne!(vault.seal("sec_1", "whsec_abc"), sealed, "a nonce is never used twice");
    }

    #[test]
    fn opens_what_the_first_version_sealed() {
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &[7; 32]).unwrap();
        let mut bytes = b"whsec_old".to_vec();
        let nonce = cipher.seal_in_place_append_tag(Aad::from(b"sec_1"), &mut bytes).unwrap();
        let sealed = SealedBytes([nonce.as_ref().as_slice(), &bytes].concat());
        assert_eq!(Vault::new(&[7; 32]).open("sec_1", &sealed).unwrap().as_str(), "whsec_old");
        assert!(Vault::new(&[7; 32]).open("sec_2", &sealed).is_err());
        assert!(Vault::new(&[8; 32]).open("sec_1", &sealed).is_err());
    }

    #[test]
    fn a_key_is_its_bytes_hex_or_base64_and_nothing_else() {
        let text = "0707070707070707070707070707070707070707070707070707070707070707\n";
        assert_eq!(MasterKey::parse(text.as_bytes()), Some(key(7)));
        assert_eq!(MasterKey::parse(b" BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc= "), Some(key(7)));
        for refused in ["", "07", &text[1..63], &text[..64].replace('7', "g"), "BwcHBwcHBwc="] {
            assert_eq!(MasterKey::parse(refused.as_bytes()), None, "{refused}");
        }
        assert_eq!(MasterKey::parse(&[7; 33]), None);
    }

    #[test]
    fn debug_shows_which_key_it_is_and_not_the_key() {
        let shown = format!("{:?} {:?}", key(7), Vault::under(&key(7)));
        let id = key(7).id().to_string();
        assert_eq!(shown, format!("MasterKey({id}) Vault({id})"));
    }
}
