//! Rules that remove objects and unfinished uploads by themselves, and what is told of objects meanwhile.

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, CompletedMultipartUpload,
    CompletedPart, Delete, ExpirationStatus, LifecycleExpiration, LifecycleRule,
    LifecycleRuleAndOperator, LifecycleRuleFilter, ObjectIdentifier, Tag, Transition,
    TransitionStorageClass,
};
use jiff::{SignedDuration, Timestamp};
use lapse_local_store::{BUCKET, EventKind, Key, Options, Swept, start};
use tokio::sync::broadcast::error::TryRecvError;

use crate::form::FormDraft;
use crate::support::{Host, bytes, code, names};

const DAY: SignedDuration = SignedDuration::from_hours(24);

fn rule(id: &str, prefix: &str) -> aws_sdk_s3::types::builders::LifecycleRuleBuilder {
    let filter = LifecycleRuleFilter::builder().prefix(prefix).build();
    LifecycleRule::builder().id(id).status(ExpirationStatus::Enabled).filter(filter)
}

fn after(days: i32) -> LifecycleExpiration {
    LifecycleExpiration::builder().days(days).build()
}

async fn set(client: &Client, rules: Vec<LifecycleRule>) -> Result<(), String> {
    let rules = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build().unwrap();
    let put = client.put_bucket_lifecycle_configuration().bucket(BUCKET);
    match put.lifecycle_configuration(rules).send().await {
        Ok(_) => Ok(()),
        refused => Err(code(refused)),
    }
}

async fn put(client: &Client, key: &str, size: usize) {
    let put = client.put_object().bucket(BUCKET).key(key).body(bytes(size, 1).into());
    put.send().await.unwrap();
}

async fn keys(client: &Client) -> Vec<String> {
    let list = client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    list.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn objects_go_when_their_days_are_over() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let sizes = LifecycleRuleAndOperator::builder().prefix("size/");
    let sizes = sizes.object_size_greater_than(10).object_size_less_than(20).build();
    let sizes = LifecycleRuleFilter::builder().and(sizes).build();
    let past = DateTime::from_secs(Timestamp::now().as_second() / 86400 * 86400);
    let off = rule("off", "").status(ExpirationStatus::Disabled).expiration(after(1));
    let rules = vec![
        rule("one day", "day/").expiration(after(1)).build().unwrap(),
        rule("sizes", "").filter(sizes).expiration(after(1)).build().unwrap(),
        rule("date", "past/")
            .expiration(LifecycleExpiration::builder().date(past).build())
            .build()
            .unwrap(),
        off.build().unwrap(),
    ];
    set(&client, rules.clone()).await.unwrap();
    let got = client.get_bucket_lifecycle_configuration().bucket(BUCKET).send().await.unwrap();
    assert_eq!(got.rules(), rules);

    for key in ["day/a", "day/b", "keep", "past/x", "size/no"] {
        put(&client, key, 10).await;
    }
    put(&client, "size/yes", 15).await;
    let all = ["day/a", "day/b", "keep", "past/x", "size/no", "size/yes"];
    assert_eq!(keys(&client).await, all);
    let blobs = names(&host.store().join("blobs")).len();

    let now = Timestamp::now();
    let swept = host.running.run_lifecycle(now).await.unwrap();
    assert_eq!(swept, Swept { objects: 1, uploads: 0 });
    assert_eq!(keys(&client).await, ["day/a", "day/b", "keep", "size/no", "size/yes"]);
    // A day isn't over before the midnight after it.
    assert_eq!(host.running.run_lifecycle(now + DAY / 2).await.unwrap(), Swept::default());
    let swept = host.running.run_lifecycle(now + DAY * 2).await.unwrap();
    assert_eq!(swept, Swept { objects: 3, uploads: 0 });
    assert_eq!(keys(&client).await, ["keep", "size/no"]);
    assert_eq!(names(&host.store().join("blobs")).len(), blobs - 4);
}

#[tokio::test]
async fn object_tells_when_a_rule_will_remove_it() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    put(&client, "k", 10).await;
    let head = || async { client.head_object().bucket(BUCKET).key("k").send().await.unwrap() };
    assert_eq!(head().await.expiration(), None);
    let rules = [("later", 3), ("ä b", 1)]
        .map(|(id, days)| rule(id, "k").expiration(after(days)).build().unwrap());
    set(&client, rules.into()).await.unwrap();
    let end = (Timestamp::now() + DAY).as_second() / 86400 * 86400 + 86400;
    let end = Timestamp::from_second(end).unwrap().strftime("%a, %d %b %Y 00:00:00 GMT");
    let expected = format!("expiry-date=\"{end}\", rule-id=\"%C3%A4%20b\"");
    assert_eq!(head().await.expiration(), Some(expected.as_str()));
    let get = client.get_object().bucket(BUCKET).key("k").send().await.unwrap();
    assert_eq!(get.expiration(), Some(expected.as_str()));
    set(&client, vec![rule("r", "").expiration(after(i32::MAX)).build().unwrap()]).await.unwrap();
    assert!(head().await.expiration().unwrap().contains("31 Dec 9999"));
}

#[tokio::test]
async fn uploads_that_nobody_finishes_are_aborted() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(2).build();
    let rule = rule("abort", "a/").abort_incomplete_multipart_upload(abort).build().unwrap();
    set(&client, vec![rule]).await.unwrap();
    for key in ["a/1", "a/2", "b/3"] {
        let upload = client.create_multipart_upload().bucket(BUCKET).key(key).send().await.unwrap();
        let part = client.upload_part().bucket(BUCKET).key(key).part_number(1);
        part.upload_id(upload.upload_id().unwrap()).body(bytes(10, 1).into()).send().await.unwrap();
    }
    put(&client, "a/kept", 10).await;
    let now = Timestamp::now();
    assert_eq!(host.running.run_lifecycle(now + DAY).await.unwrap(), Swept::default());
    let swept = host.running.run_lifecycle(now + DAY * 3).await.unwrap();
    assert_eq!(swept, Swept { objects: 0, uploads: 2 });
    let left = client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
    let left: Vec<_> = left.uploads().iter().map(|upload| upload.key().unwrap()).collect();
    assert_eq!((left, keys(&client).await), (vec!["b/3"], vec!["a/kept".to_owned()]));
    assert_eq!(names(&host.store().join("blobs")).len(), 2);
}

#[tokio::test]
async fn rules_outlive_a_restart_and_go_when_they_are_deleted() {
    let host = Host::start().await;
    let rules = vec![rule("r", "x").expiration(after(1)).build().unwrap()];
    set(&host.client(Key::Profile), rules.clone()).await.unwrap();
    let store = host.store();
    host.running.stop().await;
    let running = start(&store, Options::default()).await.unwrap();
    let host = Host { dir: host.dir, running };
    let client = host.client(Key::Profile);
    let get = || client.get_bucket_lifecycle_configuration().bucket(BUCKET).send();
    assert_eq!(get().await.unwrap().rules(), rules);
    client.delete_bucket_lifecycle().bucket(BUCKET).send().await.unwrap();
    assert_eq!(code(get().await), "NoSuchLifecycleConfiguration");
    client.delete_bucket_lifecycle().bucket(BUCKET).send().await.unwrap();
    let foreign = host.client(Key::Root).get_bucket_lifecycle_configuration().bucket("none");
    assert_eq!(code(foreign.send().await), "NoSuchBucket");
}

#[tokio::test]
async fn rules_that_make_no_sense_or_ask_for_more_are_refused() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let kept = vec![rule("kept", "x").expiration(after(1)).build().unwrap()];
    set(&client, kept.clone()).await.unwrap();
    let one = || rule("r", "");
    let tag = Tag::builder().key("a").value("b").build().unwrap();
    let both = after(1);
    let both = LifecycleExpiration::builder()
        .set_days(both.days())
        .date(DateTime::from_secs(86400))
        .build();
    let noon = LifecycleExpiration::builder().date(DateTime::from_secs(43200)).build();
    let marker = LifecycleExpiration::builder().expired_object_delete_marker(true).build();
    let transition = Transition::builder().days(1).storage_class(TransitionStorageClass::Glacier);
    let sizes = |larger, smaller| {
        let and = LifecycleRuleAndOperator::builder().prefix("");
        let and = and.object_size_greater_than(larger).object_size_less_than(smaller).build();
        LifecycleRuleFilter::builder().and(and).build()
    };
    let filter = || LifecycleRuleFilter::builder();
    let and = || LifecycleRuleAndOperator::builder();
    let large = || and().prefix("x").object_size_greater_than(5).build();
    let abort = AbortIncompleteMultipartUpload::builder();
    #[rustfmt::skip]
    let wrong = [
        (one(), "InvalidRequest"),
        (one().expiration(after(0)), "InvalidArgument"),
        (one().expiration(after(-1)), "InvalidArgument"),
        (one().expiration(both), "MalformedXML"),
        (one().expiration(noon), "InvalidArgument"),
        (one().expiration(marker), "NotImplemented"),
        (one().transitions(transition.build()).expiration(after(1)), "NotImplemented"),
        (one().filter(LifecycleRuleFilter::builder().tag(tag).build()).expiration(after(1)), "NotImplemented"),
        (one().filter(filter().prefix("x").and(large()).build()).expiration(after(1)), "MalformedXML"),
        (one().filter(filter().prefix("x").object_size_greater_than(5).build()).expiration(after(1)), "MalformedXML"),
        (one().filter(filter().object_size_less_than(50).object_size_greater_than(5).build()).expiration(after(1)), "MalformedXML"),
        (one().filter(filter().and(and().prefix("x").build()).build()).expiration(after(1)), "MalformedXML"),
        (one().filter(filter().and(and().build()).build()).expiration(after(1)), "MalformedXML"),
        (one().filter(sizes(5, 6)).expiration(after(1)), "InvalidRequest"),
        (one().filter(sizes(5, 60)).abort_incomplete_multipart_upload(abort.clone().days_after_initiation(1).build()), "InvalidRequest"),
        (one().abort_incomplete_multipart_upload(abort.days_after_initiation(0).build()), "InvalidArgument"),
        (one().id("x".repeat(256)).expiration(after(1)), "InvalidArgument"),
        (one().status("Sometimes".into()).expiration(after(1)), "MalformedXML"),
    ];
    for (rule, expected) in wrong {
        let rule = rule.build().unwrap();
        assert_eq!(set(&client, vec![rule.clone()]).await.unwrap_err(), expected, "{rule:?}");
    }
    assert_eq!(set(&client, Vec::new()).await.unwrap_err(), "MalformedXML");
    let many = (0..1001).map(|id| rule(&id.to_string(), "").expiration(after(1)).build().unwrap());
    assert_eq!(set(&client, many.collect()).await.unwrap_err(), "MalformedXML");
    let same = one().expiration(after(1)).build().unwrap();
    assert_eq!(set(&client, vec![same.clone(), same]).await.unwrap_err(), "InvalidArgument");
    let got = client.get_bucket_lifecycle_configuration().bucket(BUCKET).send().await.unwrap();
    assert_eq!(got.rules(), kept);
}

#[tokio::test]
async fn what_happens_to_objects_is_told_once_it_is_so() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let mut events = host.running.events();
    put(&client, "a", 10).await;
    put(&client, "a", 20).await;
    assert_eq!(FormDraft::new(&host, "form").send(&host, &bytes(30, 3)).await.status, 204);
    let copy = client.copy_object().bucket(BUCKET).key("copy").copy_source(format!("{BUCKET}/a"));
    copy.send().await.unwrap();
    let upload = client.create_multipart_upload().bucket(BUCKET).key("parts").send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let part = client.upload_part().bucket(BUCKET).key("parts").upload_id(id).part_number(1);
    let part = part.body(bytes(40, 4).into()).send().await.unwrap();
    let part = CompletedPart::builder().part_number(1).e_tag(part.e_tag().unwrap()).build();
    let parts = CompletedMultipartUpload::builder().parts(part).build();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("parts").upload_id(id);
    let etag = complete.multipart_upload(parts).send().await.unwrap();
    let etag = etag.e_tag().unwrap().trim_matches('"').to_owned();
    // Nothing happened by these.
    let again = client.put_object().bucket(BUCKET).key("a").if_none_match("*");
    assert_eq!(code(again.body(bytes(1, 1).into()).send().await), "PreconditionFailed");
    client.delete_object().bucket(BUCKET).key("none").send().await.unwrap();
    client.delete_object().bucket(BUCKET).key("a").send().await.unwrap();
    let named = ["copy", "none"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let named = Delete::builder().set_objects(Some(named.into())).build().unwrap();
    client.delete_objects().bucket(BUCKET).delete(named).send().await.unwrap();
    set(&client, vec![rule("r", "form").expiration(after(1)).build().unwrap()]).await.unwrap();
    host.running.run_lifecycle(Timestamp::now() + DAY * 2).await.unwrap();

    let mut told = Vec::new();
    let mut last = None;
    loop {
        match events.try_recv() {
            Ok(event) => {
                assert_eq!(event.bucket, BUCKET);
                assert!(Timestamp::now().duration_since(event.at).as_secs() < 60);
                if event.kind == EventKind::CompleteMultipartUpload {
                    last = Some(event.etag.clone());
                }
                told.push((event.kind.name(), event.key, event.size));
            }
            Err(TryRecvError::Empty) => break,
            Err(error) => panic!("{error}"),
        }
    }
    let told: Vec<_> = told.iter().map(|(kind, key, size)| (*kind, key.as_str(), *size)).collect();
    assert_eq!(
        told,
        [
            ("s3:ObjectCreated:Put", "a", 10),
            ("s3:ObjectCreated:Put", "a", 20),
            ("s3:ObjectCreated:Post", "form", 30),
            ("s3:ObjectCreated:Copy", "copy", 20),
            ("s3:ObjectCreated:CompleteMultipartUpload", "parts", 40),
            ("s3:ObjectRemoved:Delete", "a", 20),
            ("s3:ObjectRemoved:Delete", "copy", 20),
            ("s3:LifecycleExpiration:Delete", "form", 30),
        ]
    );
    assert_eq!(last, Some(etag));
}

#[tokio::test]
async fn one_who_listens_too_slowly_is_told_so() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let mut events = host.running.events();
    for batch in 0..12 {
        let puts = (0..100).map(|number| {
            let key = format!("{batch}/{number}");
            let put = client.put_object().bucket(BUCKET).key(key).body(bytes(1, 1).into());
            tokio::spawn(put.send())
        });
        for put in puts.collect::<Vec<_>>() {
            put.await.unwrap().unwrap();
        }
    }
    assert!(matches!(events.try_recv(), Err(TryRecvError::Lagged(missed)) if missed > 0));
    assert!(events.try_recv().is_ok());
}
