//! What is known of each provider: data, not code.
//!
//! What a table can't know is found out by [`super::probe`] on the real bucket.

use std::time::Duration;

use crate::{Code, Error, Result};

/// How the keys of a provider are rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Through the IAM query API.
    Iam,
    /// Through Garage's admin API.
    GarageAdmin,
    /// The local store does it itself.
    LocalStore,
    /// By hand, at the provider's own site.
    ByHand,
}

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Provider {
    /// The name in config.toml and after `--provider`.
    pub id: &'static str,
    /// The name that people know.
    pub name: &'static str,
    /// The endpoint, with `{region}` in it; `None` where each has its own.
    pub endpoint: Option<&'static str>,
    /// The region where the provider has just one, or most use one.
    pub region: Option<&'static str>,
    /// Whether the bucket stands in the path rather than in the host name.
    pub path_style: bool,
    /// The longest life of a link.
    pub longest_link: Duration,
    /// Whether a browser may upload with a signed form.
    pub post_form: bool,
    /// Whether a PUT into a bucket that isn't there makes it, so that we must look first.
    pub makes_buckets: bool,
    /// How keys are rotated.
    pub rotation: Rotation,
    /// Error codes of its own that mean «this link no longer opens», beyond the common list.
    pub refusals: &'static [&'static str],
}

/// `SigV4` allows no longer link than this.
pub const SEVEN_DAYS: Duration = Duration::from_hours(7 * 24);

const ANY: Provider = Provider {
    id: "other",
    name: "Other S3 storage",
    endpoint: None,
    region: None,
    path_style: true,
    longest_link: SEVEN_DAYS,
    post_form: true,
    makes_buckets: true,
    rotation: Rotation::ByHand,
    refusals: &[],
};

/// Sources: each provider's own S3 compatibility page; `SeaweedFS` and the local store by our tests.
pub const PROVIDERS: &[Provider] = &[
    Provider {
        id: "aws",
        name: "Amazon S3",
        endpoint: Some("https://s3.{region}.amazonaws.com"),
        path_style: false,
        makes_buckets: false,
        rotation: Rotation::Iam,
        ..ANY
    },
    Provider {
        id: "r2",
        name: "Cloudflare R2",
        region: Some("auto"),
        // R2 has no POST form (its S3 API page lists PostObject as not implemented).
        post_form: false,
        makes_buckets: false,
        ..ANY
    },
    Provider {
        id: "b2",
        name: "Backblaze B2",
        endpoint: Some("https://s3.{region}.backblazeb2.com"),
        path_style: false,
        post_form: false,
        makes_buckets: false,
        ..ANY
    },
    Provider {
        id: "wasabi",
        name: "Wasabi",
        endpoint: Some("https://s3.{region}.wasabisys.com"),
        path_style: false,
        makes_buckets: false,
        rotation: Rotation::Iam,
        ..ANY
    },
    Provider {
        id: "digitalocean",
        name: "DigitalOcean Spaces",
        endpoint: Some("https://{region}.digitaloceanspaces.com"),
        path_style: false,
        makes_buckets: false,
        ..ANY
    },
    Provider {
        id: "hetzner",
        name: "Hetzner Object Storage",
        endpoint: Some("https://{region}.your-objectstorage.com"),
        path_style: false,
        makes_buckets: false,
        ..ANY
    },
    Provider {
        id: "scaleway",
        name: "Scaleway Object Storage",
        endpoint: Some("https://s3.{region}.scw.cloud"),
        path_style: false,
        makes_buckets: false,
        ..ANY
    },
    Provider {
        id: "garage",
        name: "Garage",
        region: Some("garage"),
        makes_buckets: false,
        rotation: Rotation::GarageAdmin,
        // Garage answers an expired link with 400 and this code.
        refusals: &["InvalidRequest"],
        ..ANY
    },
    Provider {
        id: "ceph",
        name: "Ceph",
        region: Some("us-east-1"),
        makes_buckets: false,
        rotation: Rotation::Iam,
        ..ANY
    },
    Provider {
        id: "seaweedfs",
        name: "SeaweedFS",
        region: Some("us-east-1"),
        rotation: Rotation::Iam,
        ..ANY
    },
    Provider { id: "minio", name: "MinIO", region: Some("us-east-1"), makes_buckets: false, ..ANY },
    // Many of the others speak IAM too; that one doesn't is seen when it is asked.
    Provider { rotation: Rotation::Iam, ..ANY },
];

/// The row of Lapse's own store. It isn't offered in the table: the profile `local` has it.
pub const LOCAL: Provider = Provider {
    id: "local",
    name: "This computer",
    region: Some(lapse_local_store::REGION),
    post_form: false,
    makes_buckets: false,
    rotation: Rotation::LocalStore,
    ..ANY
};

impl Provider {
    /// The provider of a name.
    pub fn find(id: &str) -> Result<&'static Self> {
        PROVIDERS.iter().find(|provider| provider.id == id).ok_or_else(|| {
            let known: Vec<_> = PROVIDERS.iter().map(|provider| provider.id).collect();
            Error::new(
                Code::Profile,
                format!("no provider is called «{}»", id.escape_debug()),
                format!("Use one of {}.", known.join(", ")),
            )
        })
    }
}
