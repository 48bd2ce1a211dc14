//! The keys' own API: so much of AWS's IAM query API as it takes to rotate a key.
//!
//! For the store's root key only, and only from this computer.

mod actions;
mod request;

use std::fmt::Write as _;
use std::sync::Arc;

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Response, StatusCode};
use jiff::Timestamp;
use s3s::{Body, S3Error};

use crate::store::Store;

const NAMESPACE: &str = "https://iam.amazonaws.com/doc/2010-05-08/";

/// Answers a request to the keys' API. `is_local` says whether it came from this computer.
pub(crate) async fn answer(
    store: &Arc<Store>,
    parts: &Parts,
    body: Body,
    is_local: bool,
    request_id: &str,
) -> Response<Body> {
    let done = async {
        if !is_local {
            return Err(request::denied("The keys' API is for this computer only."));
        }
        let parameters = request::authenticated(store, parts, body, Timestamp::now()).await?;
        actions::run(store, &parameters).await
    };
    let (status, xml) = match done.await {
        Ok(done) => (StatusCode::OK, done.xml(request_id)),
        Err(error) => refusal(&error, request_id),
    };
    let mut answer = Response::new(Body::from(xml));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    // It may carry a secret.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn refusal(error: &S3Error, request_id: &str) -> (StatusCode, String) {
    let status = error.status_code().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut xml = Xml::default();
    xml.open_root("ErrorResponse");
    xml.within("Error", |xml| {
        xml.text("Type", if status.is_server_error() { "Receiver" } else { "Sender" });
        xml.text("Code", error.code().as_str());
        xml.text("Message", error.message().unwrap_or_default());
    });
    xml.text("RequestId", request_id);
    xml.close("ErrorResponse");
    (status, xml.0)
}

/// XML as it is written.
#[derive(Default)]
struct Xml(String);

impl Xml {
    fn open_root(&mut self, name: &str) {
        self.push(format_args!("<{name} xmlns=\"{NAMESPACE}\">"));
    }

    fn close(&mut self, name: &str) {
        self.push(format_args!("</{name}>"));
    }

    fn within(&mut self, name: &str, inner: impl FnOnce(&mut Self)) {
        self.push(format_args!("<{name}>"));
        inner(self);
        self.close(name);
    }

    fn text(&mut self, name: &str, text: &str) {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        self.push(format_args!("<{name}>{text}</{name}>"));
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string doesn't fail.
        let _ = self.0.write_fmt(text);
    }
}
