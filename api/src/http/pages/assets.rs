//! `/assets/*`: the scripts that improve pages, compiled in. No page needs one to be read.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use greffe_domain::encoding::base64url;
use sha2::{Digest, Sha256};

use super::super::problem::Problem;

/// A file served as it stands.
struct Asset {
    name: &'static str,
    text: &'static str,
    /// Its hash, quoted: a browser asks again and is told when nothing changed.
    etag: HeaderValue,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    [
        ("sign.js", include_str!("../../../assets/js/sign.js")),
        ("controller.js", include_str!("../../../assets/js/controller.js")),
    ]
    .map(|(name, text)| {
        let hash = base64url(&Sha256::digest(text));
        let etag = HeaderValue::from_str(&format!("\"{hash}\"")).expect("base64url is ASCII");
        Asset { name, text, etag }
    })
    .into()
});

pub async fn one(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    let asset = asset.ok_or_else(|| Problem::not_found(&format!("/assets/{name}")))?;
    let unchanged = headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == asset.etag.as_bytes());
    let common = [
        (header::ETAG, asset.etag.clone()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8")),
    ];
    Ok(match unchanged {
        true => (StatusCode::NOT_MODIFIED, common).into_response(),
        false => (common, asset.text).into_response(),
    })
}
