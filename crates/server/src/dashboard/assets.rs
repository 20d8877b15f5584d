//! The dashboard's own files. Their names hold a digest of what is in them, so browsers may keep them for ever.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::CACHE_CONTROL;
use maud::{Markup, html};

use super::fault::Fault;
use super::forms::Path;
use crate::directory::sha256;
use crate::reply;

struct Asset {
    name: String,
    path: String,
    content_type: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, text: &'static str) -> Self {
        let digest = sha256(text.as_bytes());
        let digest: String = digest[..6].iter().map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{stem}-{digest}.{extension}");
        Self { path: format!("/dashboard/assets/{name}"), name, content_type, text }
    }
}

static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        Asset::new("style", "css", "text/css; charset=utf-8", include_str!("assets/style.css")),
        Asset::new("dashboard", "js", "text/javascript; charset=utf-8", include_str!("assets/dashboard.js")),
        Asset::new("icon", "svg", "image/svg+xml", include_str!("assets/icon.svg")),
    ]
});

pub(super) fn style() -> &'static str {
    &ASSETS[0].path
}

pub(super) fn script() -> &'static str {
    &ASSETS[1].path
}

pub(super) fn icon() -> &'static str {
    &ASSETS[2].path
}

/// The mark beside the name.
pub(super) fn mark() -> Markup {
    html! { img src=(icon()) alt="" width="24" height="24"; }
}

pub(super) async fn serve(Path(name): Path<String>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return Fault::NotFound("file").into_response();
    };
    let mut response = reply::text(asset.content_type, asset.text);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    response
}
