//! What the keys' API does. Its users are the roles of the store's keys.

use std::sync::Arc;

use hyper::StatusCode;
use jiff::Timestamp;
use s3s::{S3Error, S3Result};

use super::Xml;
use super::request::invalid;
use crate::fault::{KeyFault, other};
use crate::front::Query;
use crate::index::AccessKey;
use crate::keys::LastRoot;
use crate::store::Store;
use crate::{Key, REGION};

const VERSION: &str = "2010-05-08";

/// What an action did.
pub(super) struct Done {
    action: &'static str,
    result: Xml,
}

/// Does what the parameters ask for.
pub(super) async fn run(store: &Arc<Store>, parameters: &Query) -> S3Result<Done> {
    let action = parameters.get("Action").unwrap_or_default();
    if parameters.get("Version") != Some(VERSION) {
        return Err(unknown_action());
    }
    match action {
        "CreateAccessKey" => create(store, parameters).await,
        "ListAccessKeys" => list(store, parameters),
        "UpdateAccessKey" => update(store, parameters).await,
        "DeleteAccessKey" => delete(store, parameters).await,
        "GetAccessKeyLastUsed" => last_used(store, parameters),
        "GetUser" => user(store, parameters),
        _ => Err(unknown_action()),
    }
}

async fn create(store: &Arc<Store>, parameters: &Query) -> S3Result<Done> {
    let role = role_of(parameters)?;
    let key = store.create_key(role).await?;
    let mut result = Xml::default();
    result.within("AccessKey", |xml| {
        xml.text("UserName", role.role());
        xml.text("AccessKeyId", &key.credentials.access_key);
        xml.text("Status", "Active");
        xml.text("SecretAccessKey", &key.credentials.secret_key);
        xml.text("CreateDate", &date(key.created_at));
    });
    Ok(Done { action: "CreateAccessKey", result })
}

fn list(store: &Arc<Store>, parameters: &Query) -> S3Result<Done> {
    let role = role_of(parameters)?;
    let mut result = Xml::default();
    result.text("UserName", role.role());
    result.within("AccessKeyMetadata", |xml| {
        for key in store.keys.all().iter().filter(|key| key.role == Some(role)) {
            xml.within("member", |xml| {
                xml.text("UserName", role.role());
                xml.text("AccessKeyId", &key.credentials.access_key);
                xml.text("Status", if key.is_active() { "Active" } else { "Inactive" });
                xml.text("CreateDate", &date(key.created_at));
            });
        }
    });
    result.text("IsTruncated", "false");
    Ok(Done { action: "ListAccessKeys", result })
}

async fn update(store: &Arc<Store>, parameters: &Query) -> S3Result<Done> {
    let active = match parameters.get("Status") {
        Some("Active") => true,
        Some("Inactive") => false,
        _ => return Err(invalid("Status must be Active or Inactive.")),
    };
    let key = key_of(store, parameters)?;
    store.set_key_active(&key.credentials.access_key, active, LastRoot::Stays).await?;
    Ok(Done { action: "UpdateAccessKey", result: Xml::default() })
}

async fn delete(store: &Arc<Store>, parameters: &Query) -> S3Result<Done> {
    let key = key_of(store, parameters)?;
    store.delete_key(&key.credentials.access_key, LastRoot::Stays).await?;
    Ok(Done { action: "DeleteAccessKey", result: Xml::default() })
}

fn last_used(store: &Arc<Store>, parameters: &Query) -> S3Result<Done> {
    let key = store.keys.find(id_of(parameters)?).ok_or(KeyFault::Unknown)?;
    let mut result = Xml::default();
    result.text("UserName", key.role.map(Key::role).unwrap_or_default());
    result.within("AccessKeyLastUsed", |xml| {
        let last = key.last_use();
        if let Some(last) = last {
            xml.text("LastUsedDate", &date(last.at));
        }
        xml.text("ServiceName", last.map_or("N/A", |last| last.service.name()));
        xml.text("Region", last.map_or("N/A", |_| REGION));
    });
    Ok(Done { action: "GetAccessKeyLastUsed", result })
}

fn user(store: &Arc<Store>, parameters: &Query) -> S3Result<Done> {
    let role = role_of(parameters)?;
    // The roles are as old as the store, and its first key may be gone.
    let created_at = store.keys.all().first().map_or(0, |key| key.created_at);
    let name = role.role();
    let mut result = Xml::default();
    result.within("User", |xml| {
        xml.text("Path", "/");
        xml.text("UserName", name);
        xml.text("UserId", &format!("AIDALAPSE{:0<12}", name.to_ascii_uppercase()));
        xml.text("Arn", &format!("arn:aws:iam::000000000000:user/{name}"));
        xml.text("CreateDate", &date(created_at));
    });
    Ok(Done { action: "GetUser", result })
}

impl Done {
    /// The answer.
    pub(super) fn xml(self, request_id: &str) -> String {
        let Self { action, result } = self;
        let mut xml = Xml::default();
        xml.open_root(&format!("{action}Response"));
        if !result.0.is_empty() {
            xml.within(&format!("{action}Result"), |xml| xml.0.push_str(&result.0));
        }
        xml.within("ResponseMetadata", |xml| xml.text("RequestId", request_id));
        xml.close(&format!("{action}Response"));
        xml.0
    }
}

/// The user that is meant; without a name the caller, who is root.
fn role_of(parameters: &Query) -> S3Result<Key> {
    let name = parameters.get("UserName").unwrap_or(Key::Root.role());
    Key::of_role(name).ok_or_else(|| {
        let message = "The user cannot be found; there are root, profile and env.";
        other(StatusCode::NOT_FOUND, "NoSuchEntity", message)
    })
}

/// The key that is meant, when it is the user's.
fn key_of(store: &Arc<Store>, parameters: &Query) -> S3Result<Arc<AccessKey>> {
    let (id, role) = (id_of(parameters)?, role_of(parameters)?);
    let key = store.keys.find(id).filter(|key| key.role == Some(role));
    Ok(key.ok_or(KeyFault::Unknown)?)
}

fn id_of(parameters: &Query) -> S3Result<&str> {
    parameters
        .get("AccessKeyId")
        .filter(|id| !id.is_empty())
        .ok_or_else(|| invalid("The parameter AccessKeyId is missing."))
}

fn unknown_action() -> S3Error {
    let message = "Could not find the operation; the version must be 2010-05-08.";
    other(StatusCode::BAD_REQUEST, "InvalidAction", message)
}

/// `2026-01-31T23:59:59Z`
fn date(milliseconds: i64) -> String {
    let time = Timestamp::from_millisecond(milliseconds).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
