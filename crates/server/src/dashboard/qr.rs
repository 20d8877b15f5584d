//! A QR code as a picture within the page.

use std::fmt::Write;

use maud::{Markup, html};
use qrcode::{Color, QrCode};

/// Modules of white that a reader needs around the code (ISO/IEC 18004, 6.3.8).
const QUIET: usize = 4;

/// The picture, dark on white whatever the page's colours are; nothing where the text is longer than a code can hold (2,331 bytes).
pub(super) fn qr(text: &str, label: &str) -> Markup {
    let Ok(code) = QrCode::new(text) else { return Markup::default() };
    let width = code.width();
    let mut path = String::new();
    for (y, row) in code.to_colors().chunks(width).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|left, right| left == right) {
            if run[0] == Color::Dark {
                let (left, top, wide) = (x + QUIET, y + QUIET, run.len());
                let _ = write!(path, "M{left} {top}h{wide}v1h-{wide}z");
            }
            x += run.len();
        }
    }
    let side = width + 2 * QUIET;
    html! {
        svg.qr role="img" aria-label=(label) viewBox={ "0 0 " (side) " " (side) } shape-rendering="crispEdges" {
            rect width=(side) height=(side) fill="#fff" {}
            path d=(path) fill="#000" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::qr;

    #[test]
    fn the_three_finders_are_where_a_reader_looks_for_them() {
        // Version 3 is 29 modules wide, 37 with its margin.
        let svg = qr("otpauth://totp/x?secret=ABC", "Scan it").into_string();
        assert!(svg.contains(r#"viewBox="0 0 37 37""#) && svg.contains(r#"aria-label="Scan it""#), "{svg}");
        for finder in ["M4 4h7v1h-7z", "M26 4h7v1h-7z", "M4 26h7v1h-7z"] {
            assert!(svg.contains(finder), "{finder} is not in {svg}");
        }
    }

    #[test]
    fn a_text_that_no_code_can_hold_has_no_picture() {
        assert_eq!(qr(&"x".repeat(2_331), "").into_string().matches("<svg").count(), 1);
        assert_eq!(qr(&"x".repeat(2_332), "").into_string(), "");
    }
}
