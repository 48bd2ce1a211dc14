//! Where a bucket is and how to sign in.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::storage::provider::{self, Provider};
use crate::{Code, Error, Result};

/// The name of the profile that needs no account: Lapse's own store.
pub const LOCAL: &str = "local";

/// A bucket, a prefix and a way to sign in. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What the person calls it.
    pub name: String,
    /// The provider's row.
    pub provider: &'static Provider,
    /// Scheme, host and port.
    pub endpoint: Endpoint,
    /// What links name instead: the local store's address in the local network.
    pub link_endpoint: Option<Endpoint>,
    /// The region that is signed for.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What every object key of ours begins with: no slash at either end, may be empty.
    pub prefix: String,
    /// Whether the bucket stands in the path rather than in the host name.
    pub path_style: bool,
    /// Whose keys open the bucket.
    pub sign_in: SignIn,
    /// Whose key signs links, where Lapse made one for that.
    pub signer: Option<Signer>,
    /// Certificates trusted beside the system's, for a server with one of its own.
    pub ca_file: Option<PathBuf>,
    /// When objects whose links have all ended are deleted.
    pub clean_up: CleanUp,
}

/// When an object that Lapse made is deleted from the bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CleanUp {
    /// Never by Lapse.
    Never,
    /// So many days after its last link has ended; 0: then.
    Days(u8),
}

impl CleanUp {
    /// What a new profile gets.
    pub const DEFAULT: Self = Self::Days(7);

    fn parse(text: &str) -> Result<Self> {
        match text {
            "never" => Ok(Self::Never),
            "at_end" => Ok(Self::Days(0)),
            "7d" => Ok(Self::Days(7)),
            "30d" => Ok(Self::Days(30)),
            _ => Err(incomplete(
                format!("«{}» doesn't say when to clean up", text.escape_debug()),
                "Use never, at_end, 7d or 30d: the time after the last link has ended.",
            )),
        }
    }
}

impl fmt::Display for CleanUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.write_str("never"),
            Self::Days(0) => f.write_str("at_end"),
            Self::Days(days) => write!(f, "{days}d"),
        }
    }
}

/// Whose keys sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignIn {
    /// The local store's own key.
    LocalStore,
    /// An access key whose secret is in the keychain.
    AccessKey(String),
    /// A profile of the AWS files (keys, SSO, a role).
    AwsProfile(String),
    /// What the AWS tools would take with no profile named: environment, files, the machine's role.
    AwsDefault,
}

/// A user that Lapse made to sign links: it may read what is under the prefix, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// Its access key; the secret is in the keychain.
    pub access_key: String,
    /// The user's name.
    pub user: String,
    /// The access key of a user that may only rotate the signer's keys, or the id of an admin token for that; `None`
    /// where the signer does that itself.
    pub rotator: Option<String>,
    /// Where Garage's admin API takes that token.
    pub admin_endpoint: Option<Endpoint>,
}

/// What a person gives to add a profile.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// What to call it.
    pub name: String,
    /// A provider's id.
    pub provider: String,
    /// The endpoint, where the provider's isn't meant.
    pub endpoint: Option<String>,
    /// The region, where the provider has more than one.
    pub region: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// What object keys begin with.
    pub prefix: Option<String>,
    /// Bucket in the path; `None`: as the provider likes it.
    pub path_style: Option<bool>,
    /// Who signs.
    pub sign_in: Option<SignIn>,
    /// Who signs links, where Lapse made a user for that.
    pub signer: Option<Signer>,
    /// A file with certificates.
    pub ca_file: Option<PathBuf>,
    /// `never`, `at_end`, `7d` or `30d`; `7d` where nothing is said.
    pub clean_up: Option<String>,
}

impl Draft {
    /// Checks each part and fills in what the provider's row knows.
    pub fn build(self) -> Result<Profile> {
        check_name(&self.name)?;
        let provider = Provider::find(&self.provider)?;
        let region = self.region.or_else(|| provider.region.map(str::to_owned));
        let region = match (region, provider.endpoint, provider.id) {
            (Some(region), ..) => region,
            (None, None, "other") => "us-east-1".to_owned(),
            (None, ..) => {
                return Err(incomplete(
                    format!("{} needs a region", provider.name),
                    "Add --region, as the provider's site shows it for your bucket.",
                ));
            }
        };
        if !is_plain(&region) {
            return Err(incomplete(
                format!("«{}» isn't a region", region.escape_debug()),
                "A region has letters, digits and hyphens, like eu-central-1.",
            ));
        }
        let endpoint = match (self.endpoint, provider.endpoint) {
            (Some(given), _) => Endpoint::parse(&given)?,
            (None, Some(template)) => Endpoint::parse(&template.replace("{region}", &region))?,
            (None, None) => {
                return Err(incomplete(
                    format!("{} needs an endpoint", provider.name),
                    "Add --endpoint, like https://s3.example.com.",
                ));
            }
        };
        check_bucket(&self.bucket)?;
        if let Some(SignIn::AccessKey(id)) = &self.sign_in {
            check_access_key(id)?;
        }
        let sign_in = self.sign_in.ok_or_else(|| {
            incomplete(
                "how to sign in isn't said".to_owned(),
                "Add --access-key ID with --secret-stdin, or --aws-profile NAME.",
            )
        })?;
        // A host name with dots in the bucket's part breaks wildcard certificates.
        let path_style = self
            .path_style
            .unwrap_or(provider.path_style || self.bucket.contains('.') || endpoint.is_address());
        Ok(Profile {
            name: self.name,
            provider,
            endpoint,
            link_endpoint: None,
            region,
            prefix: check_prefix(&self.prefix.unwrap_or_default())?,
            bucket: self.bucket,
            path_style,
            sign_in,
            signer: self.signer,
            ca_file: self.ca_file,
            clean_up: self.clean_up.map_or(Ok(CleanUp::DEFAULT), |text| CleanUp::parse(&text))?,
        })
    }
}

impl Profile {
    /// The profile of the local store at `endpoint`, and at `lan` in the local network.
    pub(crate) fn local(endpoint: &str, lan: Option<&str>) -> Result<Self> {
        Ok(Self {
            name: LOCAL.to_owned(),
            provider: &provider::LOCAL,
            endpoint: Endpoint::parse(endpoint)?,
            link_endpoint: lan.map(Endpoint::parse).transpose()?,
            region: lapse_local_store::REGION.to_owned(),
            bucket: lapse_local_store::BUCKET.to_owned(),
            prefix: String::new(),
            path_style: true,
            sign_in: SignIn::LocalStore,
            signer: None,
            ca_file: None,
            clean_up: CleanUp::DEFAULT,
        })
    }

    /// The same endpoint and sign-in with another bucket.
    pub(crate) fn in_bucket(self, bucket: &str) -> Result<Self> {
        check_bucket(bucket)?;
        let path_style = self.path_style || bucket.contains('.');
        Ok(Self { bucket: bucket.to_owned(), path_style, ..self })
    }

    /// Whether this is the store inside Lapse.
    pub fn is_local(&self) -> bool {
        self.sign_in == SignIn::LocalStore
    }

    /// Whether the storage answers at this host of a link now. Only the local store's address may change.
    pub(crate) fn answers_at(&self, host: &str) -> bool {
        let known = [Some(&self.endpoint), self.link_endpoint.as_ref()];
        !self.is_local() || known.into_iter().flatten().any(|known| known.authority == host)
    }

    /// Where the API for keys is, and the region that its requests are signed for.
    pub(crate) fn iam(&self) -> (String, String) {
        let host = self.endpoint.authority.as_str();
        // AWS has one for each of its partitions.
        let (url, region) = if host.ends_with(".amazonaws.com.cn") {
            ("https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1")
        } else if host.ends_with(".amazonaws.com") && self.region.starts_with("us-gov-") {
            ("https://iam.us-gov.amazonaws.com", "us-gov-west-1")
        } else if host.ends_with(".amazonaws.com") {
            ("https://iam.amazonaws.com", "us-east-1")
        } else if host.ends_with(".wasabisys.com") {
            ("https://iam.wasabisys.com", "us-east-1")
        } else {
            return (self.endpoint.to_string(), "us-east-1".to_owned());
        };
        (url.to_owned(), region.to_owned())
    }

    /// The same of the API that tells who signs in.
    pub(crate) fn sts(&self) -> (String, String) {
        let host = self.endpoint.authority.as_str();
        let region = self.region.clone();
        if host.ends_with(".amazonaws.com.cn") {
            (format!("https://sts.{region}.amazonaws.com.cn"), region)
        } else if host.ends_with(".amazonaws.com") {
            (format!("https://sts.{region}.amazonaws.com"), region)
        } else if host.ends_with(".wasabisys.com") {
            ("https://sts.wasabisys.com".to_owned(), "us-east-1".to_owned())
        } else {
            (self.endpoint.to_string(), "us-east-1".to_owned())
        }
    }

    /// The access keys that it names: to sign in, to sign links, to rotate.
    pub(crate) fn access_keys(&self) -> Vec<&str> {
        let sign_in = match &self.sign_in {
            SignIn::AccessKey(id) => Some(id.as_str()),
            _ => None,
        };
        let signer = self.signer.iter().flat_map(|signer| {
            let rotator = signer.rotator.as_deref();
            std::iter::once(signer.access_key.as_str()).chain(rotator)
        });
        sign_in.into_iter().chain(signer).collect()
    }

    /// The keychain's name for the secret of `access_key` at this endpoint. Two profiles that sign in
    /// with the same key share it.
    pub(crate) fn secret_name(&self, access_key: &str) -> String {
        format!("{access_key}@{}", self.endpoint.authority)
    }
}

/// Whether a host, with or without a port, is the computer that asks.
pub(crate) fn is_this_computer(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, port)| {
        // An IPv6 address has colons of its own, inside of brackets.
        if port.ends_with(']') { host } else { name }
    });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Scheme and host of a server, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host, with the port where it isn't the scheme's own.
    pub authority: String,
}

impl Endpoint {
    /// Takes `https://host[:port]`; a path, a user or a query is refused.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            incomplete(
                format!("«{}» isn't an endpoint", text.escape_debug()),
                "Give scheme and host alone, like https://s3.example.com or http://127.0.0.1:8333.",
            )
        };
        let uri: http::Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?;
        if authority.as_str().contains('@')
            || !matches!(uri.path(), "" | "/")
            || uri.query().is_some()
        {
            return Err(wrong());
        }
        let (scheme, port) = match uri.scheme_str() {
            Some("http") => ("http", 80),
            Some("https") => ("https", 443),
            _ => return Err(wrong()),
        };
        let port_is_good = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => true,
            _ => authority.port_u16().is_some_and(|port| port != 0),
        };
        let host = authority.host();
        if host.is_empty() || host.split('.').any(str::is_empty) || !port_is_good {
            return Err(wrong());
        }
        // Clients leave the scheme's own port out of Host, and Host is signed.
        let authority = match authority.port_u16() {
            Some(given) if given == port => authority.host().to_owned(),
            _ => authority.to_string(),
        };
        Ok(Self { scheme, authority: authority.to_lowercase() })
    }

    /// `host:port`, with the scheme's own port too.
    pub(crate) fn host_and_port(&self) -> String {
        match self.authority.rsplit_once(':') {
            Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.authority.clone()
            }
            _ => format!("{}:{}", self.authority, if self.scheme == "http" { 80 } else { 443 }),
        }
    }

    /// Whether the host is an address, which takes no bucket in front.
    fn is_address(&self) -> bool {
        let host =
            self.authority.rsplit_once(':').map_or(self.authority.as_str(), |(host, _)| host);
        host == "localhost" || host.starts_with('[') || host.parse::<std::net::Ipv4Addr>().is_ok()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

fn incomplete(message: String, hint: &str) -> Error {
    Error::new(Code::Profile, message, hint)
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn check_name(name: &str) -> Result<()> {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if name == LOCAL {
        return Err(Error::new(
            Code::ProfileExists,
            "«local» is the store inside Lapse",
            "Choose another name.",
        ));
    }
    if name.is_empty() || name.len() > 64 || !plain || name.starts_with('.') {
        return Err(incomplete(
            format!("«{}» can't name a profile", name.escape_debug()),
            "Use up to 64 letters, digits, dots, hyphens and underscores.",
        ));
    }
    Ok(())
}

/// AWS's rules for bucket names, with the upper case and underscores that other servers allow.
fn check_bucket(bucket: &str) -> Result<()> {
    let plain = bucket.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let steps = bucket.split('.').all(|step| !step.is_empty() && !step.starts_with('-'));
    if !(3..=255).contains(&bucket.len()) || !plain || !steps {
        return Err(incomplete(
            format!("«{}» isn't a bucket's name", bucket.escape_debug()),
            "A bucket has at least 3 letters, digits, dots and hyphens; no slash, no s3://.",
        ));
    }
    Ok(())
}

/// It stands in headers and, between slashes, in links.
pub(crate) fn check_access_key(id: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | ',' | '"' | '\\');
    if id.is_empty() || id.len() > 128 || !id.chars().all(plain) {
        return Err(incomplete(
            format!("«{}» isn't an access key's id", id.escape_debug()),
            "Give the id that the provider shows, like AKIAIOSFODNN7EXAMPLE; the secret is asked for.",
        ));
    }
    Ok(())
}

fn check_prefix(prefix: &str) -> Result<String> {
    let prefix = prefix.trim_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let steps = prefix
        .split('/')
        .all(|step| !matches!(step, "." | "..") && (!step.is_empty() || prefix.is_empty()));
    if prefix.len() > 500 || !prefix.chars().all(plain) || !steps {
        return Err(incomplete(
            format!("«{}» can't be a prefix", prefix.escape_debug()),
            "Use letters, digits, dots, hyphens and single slashes, like shared/lapse.",
        ));
    }
    Ok(prefix.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_takes_scheme_and_host_alone() {
        for (given, kept) in [
            ("https://S3.example.com/", "https://s3.example.com"),
            ("https://s3.example.com:443", "https://s3.example.com"),
            ("http://127.0.0.1:8333", "http://127.0.0.1:8333"),
            ("http://[::1]:9000", "http://[::1]:9000"),
        ] {
            assert_eq!(Endpoint::parse(given).expect(given).to_string(), kept);
        }
        for bad in [
            "",
            "s3.example.com",
            "ftp://x",
            "https://u:p@x",
            "https://x/y",
            "https://x?y",
            "https://",
            "https://a b",
            "http://:80",
            "http://a..b",
            "http://127.0.0.1:",
            "http://127.0.0.1:99999",
            "http://127.0.0.1:0",
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn draft_fills_in_what_the_provider_knows() {
        let draft = Draft {
            name: "work".into(),
            provider: "aws".into(),
            region: Some("eu-central-1".into()),
            bucket: "files".into(),
            prefix: Some("/a/b/".into()),
            sign_in: Some(SignIn::AwsDefault),
            ..Draft::default()
        };
        let profile = draft.clone().build().expect("a whole draft");
        assert_eq!(profile.endpoint.to_string(), "https://s3.eu-central-1.amazonaws.com");
        assert!(!profile.path_style);
        assert_eq!(profile.prefix, "a/b");
        for broken in [
            Draft { region: None, ..draft.clone() },
            Draft { name: "local".into(), ..draft.clone() },
            Draft { name: "a b".into(), ..draft.clone() },
            Draft { bucket: "s3://files".into(), ..draft.clone() },
            Draft { bucket: "a..b".into(), ..draft.clone() },
            Draft { prefix: Some("a/../b".into()), ..draft.clone() },
            Draft { sign_in: None, ..draft.clone() },
            Draft { sign_in: Some(SignIn::AccessKey("A\nB".into())), ..draft.clone() },
            Draft { sign_in: Some(SignIn::AccessKey("A/B".into())), ..draft.clone() },
            Draft { region: Some("eu\nx".into()), ..draft.clone() },
            Draft { provider: "r2".into(), ..draft.clone() },
        ] {
            assert!(broken.clone().build().is_err(), "{broken:?}");
        }
    }
}
