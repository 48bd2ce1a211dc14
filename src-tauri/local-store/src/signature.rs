//! Signature version 4, where s3s isn't asked: POST forms and the keys' own API.

use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::REGION;

/// What `X-Amz-Credential` or `Credential=` says: who signed, and for what.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scope<'a> {
    pub(crate) access_key: &'a str,
    /// `20260131`
    pub(crate) day: &'a str,
    region: &'a str,
    service: &'a str,
}

impl<'a> Scope<'a> {
    /// `KEY/20260131/us-east-1/s3/aws4_request`; `None` for another shape.
    pub(crate) fn parse(credential: &'a str) -> Option<Self> {
        let parts: Vec<_> = credential.split('/').collect();
        let &[access_key, day, region, service, "aws4_request"] = parts.as_slice() else {
            return None;
        };
        Some(Self { access_key, day, region, service })
    }

    /// Whether it is of this store's region and of `service`: a signature for another one isn't
    /// for us.
    pub(crate) fn is_for(&self, service: &str) -> bool {
        self.region == REGION && self.service == service
    }

    /// The scope without the key, as the string to sign has it.
    pub(crate) fn text(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day, self.region, self.service)
    }

    /// Whether `signature` (hex) is the one of `text` by `secret`. Takes as long for a wrong one
    /// as for a right one.
    pub(crate) fn verify(&self, secret: &str, text: &[u8], signature: &str) -> bool {
        let Ok(signature) = data_encoding::HEXLOWER.decode(signature.as_bytes()) else {
            return false;
        };
        let parts = [self.day, self.region, self.service, "aws4_request"];
        let start = Some(format!("AWS4{secret}").into_bytes());
        let key = parts.iter().fold(start, |key, part| {
            let mut mac = mac(&key?)?;
            mac.update(part.as_bytes());
            Some(mac.finalize().into_bytes().to_vec())
        });
        key.and_then(|key| mac(&key)).is_some_and(|mut mac| {
            mac.update(text);
            mac.verify_slice(&signature).is_ok()
        })
    }
}

/// HMAC takes keys of any length, so this is never `None`.
fn mac(key: &[u8]) -> Option<Hmac<Sha256>> {
    Hmac::new_from_slice(key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AWS's example of a POST form: "Browser-Based Upload using HTTP POST (Using AWS Signature
    /// Version 4)" in the S3 API reference.
    #[test]
    fn signature_of_the_example_in_the_reference_is_right() {
        let credential = "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request";
        let policy = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9";
        let scope = Scope::parse(credential).expect("well formed");
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let right = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e";
        assert!(scope.verify(secret, policy.as_bytes(), right));
        assert!(!scope.verify(secret, policy.as_bytes(), &right.replace('8', "9")));
        assert!(!scope.verify("other", policy.as_bytes(), right));
        assert!(!scope.verify(secret, policy.as_bytes(), &right.to_uppercase()));
        assert!(scope.is_for("s3") && !scope.is_for("iam"));
    }

    #[test]
    fn scope_of_another_shape_is_none() {
        for wrong in ["", "K", "K/20260131/us-east-1/s3", "K/a/b/c/aws4_request/x", "K/a/b/c/aws4"]
        {
            assert_eq!(Scope::parse(wrong), None, "{wrong}");
        }
    }
}
