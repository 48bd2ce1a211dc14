//! The keys of a profile: from the keychain, from the local store, or from the AWS chain.

use std::path::Path;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use jiff::Timestamp;

use crate::keychain::{Failure, Keychain, Sensitive};
use crate::profile::{Profile, SignIn};
use crate::{Code, Error, Result};

/// A secret for this run only, where no keychain is wanted.
pub(crate) const SECRET_FROM_ENV: &str = "LAPSE_SECRET_ACCESS_KEY";

/// The longest to wait for the AWS chain: it may ask a metadata server that isn't there.
const CHAIN: Duration = Duration::from_secs(30);

/// An access key and its secret.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The access key's id: not a secret.
    pub access_key: String,
    /// Its secret.
    pub secret: Sensitive<String>,
    /// The token of temporary keys.
    pub token: Option<Sensitive<String>>,
    /// When the keys stop to work.
    pub end: SignInEnd,
    /// The role by whose session these are temporary, once it was asked for: `arn:aws:sts::ACCOUNT:assumed-role/NAME`.
    pub(crate) role: Option<String>,
}

/// When the keys that sign stop to work. A link by them stops then too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInEnd {
    /// Not by themselves.
    Never,
    /// At this time.
    At(Timestamp),
    /// They are temporary, but until when isn't said.
    Unknown,
}

impl Keys {
    /// Keys that live until someone switches them off.
    pub fn lasting(access_key: impl Into<String>, secret: Sensitive<String>) -> Self {
        Self {
            access_key: access_key.into(),
            secret,
            token: None,
            end: SignInEnd::Never,
            role: None,
        }
    }

    /// Whether links by these keys can't be made again once the keys are gone.
    pub fn temporary(&self) -> bool {
        self.token.is_some()
    }

    pub(crate) fn provider(&self) -> SharedCredentialsProvider {
        let token = self.token.as_ref().map(|token| token.expose().clone());
        let credentials =
            Credentials::new(&self.access_key, self.secret.expose(), token, None, "lapse");
        SharedCredentialsProvider::new(credentials)
    }
}

/// Gets the keys of a profile. `wanted` asks for the secret of one access key, which may be an older one of
/// the profile's: a link given long ago is made again with the key that signed it.
pub(crate) async fn sign_in(
    profile: &Profile,
    wanted: Option<&str>,
    keychain: &Keychain,
    store: &Path,
) -> Result<Keys> {
    match &profile.sign_in {
        SignIn::LocalStore => local(wanted, store),
        SignIn::AccessKey(current) => {
            let access_key = wanted.unwrap_or(current);
            if access_key == current
                && let Some(secret) = from_env()
            {
                return Ok(Keys::lasting(access_key, secret));
            }
            let secret =
                keychain.get(&profile.secret_name(access_key)).await.map_err(keychain_error)?;
            let secret = secret.ok_or_else(|| {
                if access_key != current {
                    return link_not_kept();
                }
                Error::new(
                    Code::Keychain,
                    format!("the secret of {access_key} isn't in the keychain"),
                    format!(
                        "Add it again: lapse profile remove {0}, then lapse profile add {0} ….",
                        profile.name
                    ),
                )
            })?;
            Ok(Keys::lasting(access_key, secret))
        }
        SignIn::AwsProfile(_) | SignIn::AwsDefault => {
            // A signer's keys aren't the AWS tools'.
            if let Some(access_key) = wanted.filter(|_| profile.signer.is_some()) {
                let found = keychain.get(&profile.secret_name(access_key)).await;
                if let Some(secret) = found.map_err(keychain_error)? {
                    return Ok(Keys::lasting(access_key, secret));
                }
            }
            let name = match &profile.sign_in {
                SignIn::AwsProfile(name) => Some(name.as_str()),
                _ => None,
            };
            of_wanted(wanted, chain(profile, name).await?)
        }
    }
}

/// Whether the secret of a profile's key comes from the environment of this run.
pub(crate) fn has_secret_from_env() -> bool {
    from_env().is_some()
}

fn from_env() -> Option<Sensitive<String>> {
    std::env::var(SECRET_FROM_ENV).ok().filter(|secret| !secret.is_empty()).map(Sensitive::new)
}

fn local(wanted: Option<&str>, store: &Path) -> Result<Keys> {
    let found = match wanted {
        Some(access_key) => lapse_local_store::secret_of(store, access_key),
        None => lapse_local_store::credentials(store, lapse_local_store::Key::Profile).map(Some),
    };
    let found =
        found.map_err(|error| crate::local::store_error(&error))?.ok_or_else(link_not_kept)?;
    Ok(Keys::lasting(found.access_key.clone(), Sensitive::new(found.secret_key.clone())))
}

/// The AWS chain gives the keys of today: those of yesterday aren't kept.
fn of_wanted(wanted: Option<&str>, keys: Keys) -> Result<Keys> {
    match wanted {
        Some(access_key) if access_key != keys.access_key => Err(link_not_kept()),
        _ => Ok(keys),
    }
}

fn link_not_kept() -> Error {
    Error::new(
        Code::LinkNotKept,
        "the key that signed this link is no longer kept here, so the link can't be made again",
        "It may still work for whoever has it. Make a new one with `lapse extend ID --expires 1d`.",
    )
}

async fn chain(profile: &Profile, name: Option<&str>) -> Result<Keys> {
    let told = name
        .map_or_else(|| "the AWS sign-in".to_owned(), |name| format!("the AWS profile «{name}»"));
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(aws_config::Region::new(profile.region.clone()));
    if let Some(name) = name {
        loader = loader.profile_name(name);
    }
    let config = loader.load().await;
    let failed = |reason: String| {
        let reason = reason.split_whitespace().collect::<Vec<_>>().join(" ");
        if reason.contains("SSO token") {
            return Error::new(
                Code::SignIn,
                format!("{told} is signed out: its single sign-on has ended, or wasn't done yet"),
                "Sign in with «aws sso login» in a terminal, then try again.",
            );
        }
        Error::new(
            Code::SignIn,
            format!("{told} gives no keys: {}", reason.trim_end_matches('.')),
            "Sign in with the AWS tools first (for SSO: aws sso login), then try again.",
        )
    };
    let provider =
        config.credentials_provider().ok_or_else(|| failed("nothing is configured".to_owned()))?;
    let credentials = tokio::time::timeout(CHAIN, provider.provide_credentials())
        .await
        .map_err(|_| failed("no answer within 30 seconds".to_owned()))?
        .map_err(|error| failed(super::http::chain(&error)).caused_by(error))?;
    let in_headers = [Some(credentials.access_key_id()), credentials.session_token()];
    if in_headers.iter().flatten().any(|text| !text.bytes().all(|byte| byte.is_ascii_graphic())) {
        return Err(failed(
            "the access key or the session token holds a space or a line end".to_owned(),
        ));
    }
    let token = credentials.session_token().map(|token| Sensitive::new(token.to_owned()));
    let end = match (credentials.expiry().map(Timestamp::try_from), &token) {
        (Some(Ok(end)), _) => SignInEnd::At(end),
        (None, None) => SignInEnd::Never,
        (Some(Err(_)), _) | (None, Some(_)) => SignInEnd::Unknown,
    };
    Ok(Keys {
        access_key: credentials.access_key_id().to_owned(),
        secret: Sensitive::new(credentials.secret_access_key().to_owned()),
        token,
        end,
        role: None,
    })
}

/// A keychain's failure, with the three ways on.
pub(crate) fn keychain_error(failure: Failure) -> Error {
    const WAYS: &str = "or keep keys in an encrypted file (set LAPSE_PASSPHRASE_FILE to a file that holds a passphrase, mode 0600), or give the secret for this run only in LAPSE_SECRET_ACCESS_KEY.";
    let (code, message, hint) = match &failure {
        Failure::Locked => (
            Code::KeychainLocked,
            "the keychain is locked".to_owned(),
            format!("Unlock it and try again, {WAYS}"),
        ),
        Failure::TimedOut => (
            Code::KeychainLocked,
            "the keychain waits to be unlocked and nobody did".to_owned(),
            format!("Unlock it and try again, {WAYS}"),
        ),
        Failure::Absent(_) => (
            Code::KeychainAbsent,
            "there is no keychain on this computer (no Secret Service answers)".to_owned(),
            format!("Start one and try again, {WAYS}"),
        ),
        Failure::WrongPassphrase => (
            Code::Passphrase,
            "the passphrase doesn't open the file of keys".to_owned(),
            "Give the one that the file was made with (where LAPSE_PASSPHRASE_FILE names a file, correct that).".to_owned(),
        ),
        Failure::NoPassphrase => (
            Code::KeychainLocked,
            "the file of keys is locked".to_owned(),
            "Give its passphrase: in the window's settings, or in a file of mode 0600 that LAPSE_PASSPHRASE_FILE names.".to_owned(),
        ),
        Failure::Unsafe { .. } => (
            Code::Passphrase,
            failure.to_string(),
            "The file must be yours alone: chmod 600, no link, not empty.".to_owned(),
        ),
        Failure::Other(_) => (
            Code::Keychain,
            failure.to_string(),
            "Look at the keychain with its own program, then try again.".to_owned(),
        ),
    };
    Error::new(code, message, hint).caused_by(failure)
}
