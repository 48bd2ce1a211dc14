//! The policies that signing and rotating need, as IAM takes them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::profile::Profile;

/// What a key needs to rotate itself, to be shown to a person.
pub(super) fn rotate_own() -> String {
    document(&[rotation("arn:aws:iam::*:user/${aws:username}")])
}

/// What a role's session needs to end the sessions of its role, to be shown to a person.
pub(super) fn end_own_sessions(role: &str) -> String {
    let resource = format!("arn:aws:iam::*:role/{role}");
    document(&[
        json!({ "Effect": "Allow", "Action": ["iam:PutRolePolicy"], "Resource": [resource] }),
    ])
}

/// Refuses everything to the sessions of a role that were issued before a time.
pub(super) fn deny_sessions_before(at: Timestamp) -> String {
    document(&[json!({
        "Effect": "Deny",
        "Action": ["*"],
        "Resource": ["*"],
        "Condition": { "DateLessThan": { "aws:TokenIssueTime": at.to_string() } },
    })])
}

/// Lets whoever has it rotate the keys of one user, and do nothing else.
pub(super) fn rotate(profile: &Profile, user: &str) -> String {
    document(&[rotation(&format!("arn:{}:iam::*:user/{user}", partition(profile)))])
}

/// Lets whoever has it read what is under a profile's prefix, and do nothing else.
pub(super) fn read(profile: &Profile, kms_key: Option<&str>) -> String {
    let prefix = match profile.prefix.as_str() {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    let objects = format!("arn:{}:s3:::{}/{prefix}*", partition(profile), profile.bucket);
    let mut statements =
        vec![json!({ "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [objects] })];
    if let Some(key) = kms_key {
        statements.push(json!({ "Effect": "Allow", "Action": ["kms:Decrypt"], "Resource": [key] }));
    }
    document(&statements)
}

fn rotation(resource: &str) -> Value {
    json!({
        "Effect": "Allow",
        "Action": [
            "iam:ListAccessKeys",
            "iam:CreateAccessKey",
            "iam:UpdateAccessKey",
            "iam:DeleteAccessKey",
            "iam:GetAccessKeyLastUsed"
        ],
        "Resource": [resource]
    })
}

fn document(statements: &[Value]) -> String {
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

fn partition(profile: &Profile) -> &'static str {
    match profile.region.split('-').next() {
        Some("cn") => "aws-cn",
        _ if profile.region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}
