//! One lifecycle rule of ours: uploads that nobody goes on with cost money until the storage gives them up.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleRule,
    LifecycleRuleFilter,
};

use super::Bucket;
use crate::{Code, Error, Result};

/// By which our rule is known among others.
const ID: &str = "lapse-unfinished-uploads";
/// An upload that hasn't moved for so many days is nobody's any more: no link lives longer either.
const DAYS: i32 = 7;

/// What the rule is, and how the bucket stands to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedRule {
    /// The rule, in a sentence.
    pub text: String,
    /// Whether the bucket has it.
    pub is_there: bool,
    /// The ids of the bucket's other rules, which stay as they are.
    pub others: Vec<String>,
}

impl Bucket {
    /// Looks whether the bucket has our rule. Changes nothing.
    pub(crate) async fn unfinished_rule(&self) -> Result<UnfinishedRule> {
        let ours = self.our_rule()?;
        let rules = self.rules().await?;
        Ok(UnfinishedRule {
            text: format!(
                "Unfinished uploads under {}/ are given up after {DAYS} days (rule «{ID}» of the bucket «{}»)",
                self.profile.prefix, self.profile.bucket
            ),
            is_there: rules.iter().any(|rule| is_same(rule, &ours)),
            others: rules.iter().filter(|rule| !is_ours(rule)).map(name_of).collect(),
        })
    }

    /// Adds our rule to those that the bucket has, and reads them back: a PUT replaces them all.
    pub(crate) async fn add_unfinished_rule(&self) -> Result<()> {
        let ours = self.our_rule()?;
        let mut rules = self.rules().await?;
        rules.retain(|rule| !is_ours(rule));
        let before = rules.clone();
        rules.push(ours.clone());
        let configuration = BucketLifecycleConfiguration::builder()
            .set_rules(Some(rules))
            .build()
            .map_err(|error| super::fault::storage("the rule can't be written").caused_by(error))?;
        self.client
            .put_bucket_lifecycle_configuration()
            .bucket(&self.profile.bucket)
            .lifecycle_configuration(configuration)
            .send()
            .await
            .map_err(|error| self.explain("change its lifecycle rules", error))?;
        let now = self.rules().await?;
        let kept =
            before.iter().all(|rule| now.iter().any(|other| name_of(other) == name_of(rule)));
        if kept && now.iter().any(|rule| is_same(rule, &ours)) {
            return Ok(());
        }
        Err(Error::new(
            Code::Storage,
            format!("{} took the rule and shows other ones", self.host()),
            "Look at the bucket's lifecycle rules with the provider's own tools.",
        ))
    }

    fn our_rule(&self) -> Result<LifecycleRule> {
        if self.profile.prefix.is_empty() {
            return Err(Error::new(
                Code::Profile,
                format!(
                    "the profile «{}» has no prefix, so a rule would be for the whole bucket",
                    self.profile.name
                ),
                "Lapse makes rules only under a prefix. Give the profile one (--prefix), or make the rule yourself.",
            ));
        }
        let prefix = format!("{}/", self.profile.prefix);
        LifecycleRule::builder()
            .id(ID)
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
            .abort_incomplete_multipart_upload(
                AbortIncompleteMultipartUpload::builder().days_after_initiation(DAYS).build(),
            )
            .build()
            .map_err(|error| super::fault::storage("the rule can't be written").caused_by(error))
    }

    async fn rules(&self) -> Result<Vec<LifecycleRule>> {
        let request = self.client.get_bucket_lifecycle_configuration().bucket(&self.profile.bucket);
        match request.send().await {
            Ok(found) => Ok(found.rules.unwrap_or_default()),
            Err(error) if error.code() == Some("NoSuchLifecycleConfiguration") => Ok(Vec::new()),
            Err(error) => Err(self.explain("read its lifecycle rules", error)),
        }
    }
}

fn is_ours(rule: &LifecycleRule) -> bool {
    rule.id() == Some(ID)
}

/// Servers add what they think by default; these fields are what the rule does.
fn is_same(rule: &LifecycleRule, ours: &LifecycleRule) -> bool {
    let prefix = |rule: &LifecycleRule| rule.filter().and_then(|filter| filter.prefix.clone());
    is_ours(rule)
        && rule.status() == ours.status()
        && prefix(rule) == prefix(ours)
        && rule.abort_incomplete_multipart_upload() == ours.abort_incomplete_multipart_upload()
}

fn name_of(rule: &LifecycleRule) -> String {
    rule.id().unwrap_or("(without an id)").to_owned()
}
