//! Lifecycle rules: what is removed by itself, and when.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::EventKind;
use crate::fault::Fault;
use crate::index::{self, Object};
use crate::store::Store;

const DAY: i64 = 24 * 60 * 60 * 1000;
/// The end of the year 9999: later dates can't be written.
const LATEST: i64 = 253_402_214_400_000;
/// Rows that are looked at, or removed, at once.
const PAGE: i64 = 1000;

/// A rule of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) id: String,
    pub(crate) enabled: bool,
    pub(crate) prefix: String,
    /// Whether the prefix was given beside a filter, as S3 did it first.
    pub(crate) plain_prefix: bool,
    pub(crate) larger_than: Option<u64>,
    pub(crate) smaller_than: Option<u64>,
    pub(crate) expire: Option<Expire>,
    /// Unfinished uploads are aborted so many days after they began.
    pub(crate) abort_after: Option<u32>,
}

/// When an object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Expire {
    /// Days after it was written.
    After(u32),
    /// At that time, in milliseconds since 1970.
    At(i64),
}

/// What a run of the rules removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Objects that were deleted.
    pub objects: u64,
    /// Unfinished uploads that were aborted.
    pub uploads: u64,
}

impl Rule {
    /// When an object goes by this rule, in milliseconds since 1970.
    fn end(&self, key: &str, object: &Object) -> Option<i64> {
        let is_meant = self.enabled
            && key.starts_with(&self.prefix)
            && self.larger_than.is_none_or(|size| object.size > size)
            && self.smaller_than.is_none_or(|size| object.size < size);
        let expire = self.expire.filter(|_| is_meant)?;
        Some(match expire {
            Expire::At(time) => time,
            Expire::After(days) => midnight_after(object.modified_at, days),
        })
    }

    fn end_of_upload(&self, upload: &index::Upload) -> Option<i64> {
        let is_meant = self.enabled && upload.key.starts_with(&self.prefix);
        let days = self.abort_after.filter(|_| is_meant)?;
        Some(midnight_after(upload.started_at, days))
    }
}

/// As S3 counts: so many days later, then up to the next midnight UTC.
fn midnight_after(time: i64, days: u32) -> i64 {
    let end = time.saturating_add(i64::from(days) * DAY);
    end.saturating_add(DAY - 1).div_euclid(DAY).saturating_mul(DAY).min(LATEST)
}

/// When an object goes, and by which rule: the soonest.
pub(crate) fn end<'a>(rules: &'a [Rule], key: &str, object: &Object) -> Option<(i64, &'a Rule)> {
    let ends = rules.iter().filter_map(|rule| Some((rule.end(key, object)?, rule)));
    ends.min_by_key(|(end, _)| *end)
}

impl Store {
    /// Removes what the rules of all buckets say is over at `now`.
    pub(crate) async fn run_lifecycle(self: &Arc<Self>, now: Timestamp) -> Result<Swept, Fault> {
        let now = now.as_millisecond();
        let mut swept = Swept::default();
        for (bucket, rules) in self.read(|view| Ok(index::lifecycles(view)?)).await? {
            let rules = Arc::new(rules);
            swept.objects += self.expire(&bucket, &rules, now).await?;
            swept.uploads += self.abort(&bucket, &rules, now).await?;
        }
        Ok(swept)
    }

    async fn expire(
        self: &Arc<Self>,
        bucket: &str,
        rules: &Arc<Vec<Rule>>,
        now: i64,
    ) -> Result<u64, Fault> {
        let (mut from, mut removed) = (Vec::new(), 0);
        loop {
            let name = bucket.to_owned();
            let page = self.read(move |view| index::keys_from(view, &name, &from, PAGE)).await?;
            let Some((last, _)) = page.last() else { return Ok(removed) };
            from = [last.as_bytes(), &[0]].concat();
            let over: Vec<_> = page
                .into_iter()
                .filter(|(key, object)| end(rules, key, object).is_some_and(|(end, _)| end <= now))
                .collect();
            if over.is_empty() {
                continue;
            }
            let name = bucket.to_owned();
            removed += self
                .write(move |change| {
                    let mut removed = 0;
                    for (key, object) in over {
                        // It may have been replaced meanwhile.
                        if index::is_current(change, object.id)? {
                            let kind = EventKind::LifecycleExpiration;
                            index::delete_object(change, &name, &key, kind)?;
                            removed += 1;
                        }
                    }
                    Ok(removed)
                })
                .await?;
        }
    }

    async fn abort(
        self: &Arc<Self>,
        bucket: &str,
        rules: &Arc<Vec<Rule>>,
        now: i64,
    ) -> Result<u64, Fault> {
        let (mut after, mut aborted) = ((Vec::new(), String::new()), 0);
        loop {
            let name = bucket.to_owned();
            let page = self
                .read(move |view| index::uploads_after(view, &name, (&after.0, &after.1), PAGE))
                .await?;
            let Some(last) = page.last() else { return Ok(aborted) };
            after = (last.key.clone().into_bytes(), last.id.clone());
            let is_over = |upload: &index::Upload| {
                let ends = rules.iter().filter_map(|rule| rule.end_of_upload(upload));
                ends.min().is_some_and(|end| end <= now)
            };
            let over: Vec<_> = page.into_iter().filter(is_over).map(|upload| upload.id).collect();
            if over.is_empty() {
                continue;
            }
            aborted += over.len() as u64;
            self.write(move |change| {
                over.iter().try_for_each(|id| index::abort_upload(change, id))
            })
            .await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_end_at_the_next_midnight() {
        let time = |text: &str| text.parse::<Timestamp>().expect("a time").as_millisecond();
        // The example of S3's user guide.
        assert_eq!(midnight_after(time("2014-01-15T10:30:00Z"), 3), time("2014-01-19T00:00:00Z"));
        assert_eq!(midnight_after(time("2014-01-15T00:00:00Z"), 1), time("2014-01-16T00:00:00Z"));
        assert_eq!(midnight_after(i64::MAX, u32::MAX), LATEST);
    }
}
