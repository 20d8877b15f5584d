//! What a doctor has found.

use alloc::vec::Vec;
use core::fmt;

use super::Mistake;

/// Why a signature was refused: the mistakes that, all mended, make it right.
///
/// [`Display`](fmt::Display) is one sentence that says how to mend them. There is no secret in it, nor a part of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In the order in which a verifier would come upon them; never empty.
    mistakes: Vec<Mistake>,
    proven: bool,
    compared: bool,
}

impl Finding {
    /// Mistakes after whose mending the tag was reproduced.
    pub(super) fn proven(mistakes: Vec<Mistake>) -> Self {
        // A bare hash comes out without any secret, so it proves nothing of whoever sent it.
        let proven = !mistakes.contains(&Mistake::NotAnHmac);
        Self { mistakes, proven, compared: proven }
    }

    /// Mistakes that can be seen, in a request whose tags match nothing that was tried.
    pub(super) fn unproven(mut mistakes: Vec<Mistake>) -> Self {
        let compared = !mistakes.is_empty();
        if mistakes.is_empty() {
            mistakes.push(Mistake::Unexplained);
        }
        Self { mistakes, proven: false, compared }
    }

    /// What can be seen where there was no tag to compare.
    pub(super) fn of_headers(mistakes: Vec<Mistake>) -> Self {
        Self { mistakes, proven: false, compared: false }
    }

    /// The code of the first mistake: stable, for instance `json_rewritten`; `unexplained` where no known mistake fits.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.mistakes.first().map_or(Mistake::Unexplained.code(), Mistake::code)
    }

    /// Every mistake, in the order in which a verifier would come upon them; one at least.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// Whether it is certain: with these mistakes, one of the secrets makes the very signature that was sent.
    ///
    /// Otherwise it is what can be seen of the headers and the clock, or a bare hash, which comes out without any secret; and
    /// whether the signature is right beside that is open.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.proven
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock_alone =
            matches!(self.mistakes[..], [Mistake::ClockBehind { .. } | Mistake::ClockAhead { .. }]);
        if self.proven && clock_alone {
            f.write_str("the signature is right; ")?;
        }
        for (at, mistake) in self.mistakes.iter().enumerate() {
            write!(f, "{}{mistake}", if at == 0 { "" } else { "; also, " })?;
        }
        if self.compared && !self.proven {
            f.write_str(
                "; beside that, the signature matches with no known mistake, so compare secret and body too",
            )?;
        }
        Ok(())
    }
}
