//! HTTP as the SDK does it, also for links: the same proxies, the same certificates.

use std::path::Path;
use std::time::Duration;

use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpConnector as _, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::clock::ServerClock;
use crate::error::reason;
use crate::profile::Profile;
use crate::{Code, Error, Result};

/// How long to wait for a connection.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);
/// How long a server may stay silent while it is asked about a link.
const ANSWER: Duration = Duration::from_secs(20);
/// An S3 error is short; a portal's page is not read beyond this.
const MOST_BODY: usize = 64 * 1024;
/// Lists of keys can be long.
const MOST_WHOLE_BODY: usize = 4 * 1024 * 1024;

/// How one profile connects: proxies from the environment, certificates from the system and the profile.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    proxy: ProxyConfig,
    /// `None` for plain HTTP: reading the system's certificates would cost more than a small upload.
    tls: Option<TlsContext>,
}

impl Network {
    pub(crate) fn of(profile: &Profile) -> Result<Self> {
        // The local store is this computer; a proxy elsewhere would be shown its bytes and links.
        let proxy =
            if profile.is_local() { ProxyConfig::disabled() } else { ProxyConfig::from_env() };
        if profile.endpoint.scheme == "http" {
            return Ok(Self { proxy, tls: None });
        }
        let mut trust = TrustStore::default();
        if let Some(path) = &profile.ca_file {
            trust = trust.with_pem_certificate(certificates(path)?);
        }
        let context = TlsContext::builder().with_trust_store(trust).build();
        let context = context.map_err(|error| {
            no_certificates("the certificates of this profile", "can't be used").caused_by(error)
        })?;
        Ok(Self { proxy, tls: Some(context) })
    }

    /// For the SDK, which chooses its own time limits.
    pub(crate) fn client(&self) -> SharedHttpClient {
        let network = self.clone();
        Builder::new().build_with_connector_fn(move |settings, _| network.connector(settings))
    }

    fn connector(&self, settings: Option<&HttpConnectorSettings>) -> Connector {
        let mut builder =
            Connector::builder().proxy_config(self.proxy.clone()).sleep_impl(TokioSleep::new());
        builder.set_connector_settings(settings.cloned());
        match &self.tls {
            None => builder.build_http(),
            Some(context) => builder
                .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
                .tls_context(context.clone())
                .build(),
        }
    }

    /// For links.
    pub(crate) fn plain(&self) -> SharedHttpConnector {
        let settings =
            HttpConnectorSettings::builder().connect_timeout(CONNECT).read_timeout(ANSWER).build();
        SharedHttpConnector::new(self.connector(Some(&settings)))
    }
}

/// A PEM file, whose certificates are all good: the connector would panic at one that isn't.
fn certificates(path: &Path) -> Result<Vec<u8>> {
    let shown = format!("the CA file «{}»", path.display().to_string().escape_debug());
    // A pipe or a device could be read for ever.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(no_certificates(&shown, "isn't a file"));
    }
    let pem = std::fs::read(path)
        .map_err(|error| no_certificates(&shown, &format!("can't be read: {}", reason(&error))))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|_| no_certificates(&shown, "isn't whole PEM"))?;
    let mut roots = rustls::RootCertStore::empty();
    let good = found.iter().all(|certificate| roots.add(certificate.clone()).is_ok());
    if found.is_empty() || !good {
        return Err(no_certificates(&shown, "holds no certificate that can be used"));
    }
    Ok(pem)
}

fn no_certificates(what: &str, why: &str) -> Error {
    let hint = "Give --ca-file a file with the server's CA certificate in PEM (-----BEGIN CERTIFICATE-----).";
    Error::new(Code::Certificate, format!("{what} {why}"), hint)
}

/// An answer to a plain request: enough to judge a link by.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Whether it came with an etag, as every object does and no portal's page.
    pub(crate) etag: bool,
    /// The S3 error code in the body, if it is an S3 error.
    pub(crate) code: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// One request by a URL that carries its own signature. Redirects aren't followed. Only the first bytes of
/// the body are read: the rest of a large file isn't fetched.
pub(crate) async fn ask(
    connector: &SharedHttpConnector,
    clock: &ServerClock,
    request: http::Request<SdkBody>,
) -> Result<Answer, String> {
    exchange(connector, clock, request, false).await
}

/// One request that is signed already, and its whole answer.
pub(crate) async fn whole(
    connector: &SharedHttpConnector,
    clock: &ServerClock,
    request: http::Request<SdkBody>,
) -> Result<Answer, String> {
    exchange(connector, clock, request, true).await
}

async fn exchange(
    connector: &SharedHttpConnector,
    clock: &ServerClock,
    request: http::Request<SdkBody>,
    is_whole: bool,
) -> Result<Answer, String> {
    let request = HttpRequest::try_from(request).map_err(|error| error.to_string())?;
    let response = connector.call(request).await.map_err(|error| chain(&error))?;
    let date = response.headers().get("date").map(str::to_owned);
    let status = response.status().as_u16();
    let etag = response.headers().get("etag").is_some();
    let mut stream = response.into_body();
    let mut body = Vec::new();
    let most = if is_whole { MOST_WHOLE_BODY } else { MOST_BODY };
    // All of it: one that drips for ever is none.
    let end = tokio::time::Instant::now() + ANSWER;
    while body.len() < most {
        match tokio::time::timeout_at(end, stream.frame()).await {
            Ok(Some(Ok(frame))) => {
                body.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
            }
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(error.to_string()),
            Err(_) => return Err("the answer broke off".to_owned()),
        }
        if status < 300 && !is_whole {
            break;
        }
    }
    let code = s3_error_code(&body);
    // A portal's clock is nobody's.
    if let Some(date) = date.filter(|_| etag || code.is_some()) {
        clock.learn(&date);
    }
    Ok(Answer { status, etag, code, body })
}

/// The text of an error and all that caused it.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// `<Error><Code>…</Code>` of an S3 error; `None` if the body isn't one.
fn s3_error_code(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let inside = &text[text.find("<Error")?..];
    let code = inside.split_once("<Code>")?.1.split_once("</Code>")?.0;
    let plain = !code.is_empty()
        && code.len() < 80
        && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    plain.then(|| code.to_owned())
}

#[cfg(test)]
mod tests {
    use super::s3_error_code;

    #[test]
    fn only_an_s3_error_has_a_code() {
        let s3 = b"<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>x</Message></Error>";
        assert_eq!(s3_error_code(s3).as_deref(), Some("AccessDenied"));
        assert_eq!(s3_error_code(b"<html><Code>AccessDenied</Code></html>"), None);
        assert_eq!(s3_error_code(b"<Error><Code><b>Access</b></Code></Error>"), None);
        assert_eq!(s3_error_code(&[0xff, 0xfe]), None);
    }
}
