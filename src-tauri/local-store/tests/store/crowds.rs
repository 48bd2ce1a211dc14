//! Many at once: races for one key, and uploads by the thousand.

use std::collections::BTreeSet;

use aws_sdk_s3::Client;
use lapse_local_store::{BUCKET, Key};

use crate::support::{Host, bytes, code};

const RACERS: u64 = 16;
/// Large enough to be written in several steps.
const SIZE: usize = 2_500_000;

async fn stored(client: &Client, key: &str) -> Vec<u8> {
    let got = client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
    got.body.collect().await.unwrap().to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_puts_over_one_etag_one_wins() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let put = client.put_object().bucket(BUCKET).key("k").body(bytes(10, 99).into());
    let etag = put.send().await.unwrap().e_tag().unwrap().to_owned();
    let racers: Vec<_> = (0..RACERS)
        .map(|seed| {
            let put = client.put_object().bucket(BUCKET).key("k").if_match(&etag);
            tokio::spawn(put.body(bytes(1000, seed).into()).send())
        })
        .collect();
    let mut winners = Vec::new();
    for (seed, racer) in (0..).zip(racers) {
        match racer.await.unwrap() {
            Ok(_) => winners.push(seed),
            lost => assert_eq!(code(lost), "PreconditionFailed"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(stored(&client, "k").await, bytes(1000, winners[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn overwrites_never_mix() {
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let put = |seed| client.put_object().bucket(BUCKET).key("k").body(bytes(SIZE, seed).into());
    put(0).send().await.unwrap();
    let racers: Vec<_> = (0..RACERS).map(|seed| tokio::spawn(put(seed).send())).collect();
    let candidates: Vec<_> = (0..RACERS).map(|seed| bytes(SIZE, seed)).collect();
    while racers.iter().any(|racer| !racer.is_finished()) {
        assert!(candidates.contains(&stored(&client, "k").await), "a mixture");
    }
    for racer in racers {
        racer.await.unwrap().unwrap();
    }
    assert!(candidates.contains(&stored(&client, "k").await), "a mixture");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_unfinished_uploads_are_listed_and_aborted() {
    const UPLOADS: usize = 2000;
    let host = Host::start().await;
    let client = host.client(Key::Profile);
    let mut begun = BTreeSet::new();
    for batch in 0..UPLOADS / 100 {
        let creating = (0..100).map(|number| {
            let key = format!("{batch}/{number}");
            tokio::spawn(client.create_multipart_upload().bucket(BUCKET).key(key).send())
        });
        for created in creating.collect::<Vec<_>>() {
            begun.insert(created.await.unwrap().unwrap().upload_id().unwrap().to_owned());
        }
    }
    assert_eq!(host.running.activity().unfinished_uploads, UPLOADS as u64);

    let mut listed = BTreeSet::new();
    let (mut key, mut id) = (None, None);
    loop {
        let list = client.list_multipart_uploads().bucket(BUCKET);
        let page = list.set_key_marker(key).set_upload_id_marker(id).send().await.unwrap();
        assert!(page.uploads().len() <= 1000);
        for some in page.uploads().chunks(100) {
            let aborting = some.iter().map(|upload| {
                let id = upload.upload_id().unwrap();
                assert!(listed.insert(id.to_owned()), "listed twice");
                let abort = client.abort_multipart_upload().bucket(BUCKET).upload_id(id);
                tokio::spawn(abort.key(upload.key().unwrap()).send())
            });
            for aborted in aborting.collect::<Vec<_>>() {
                aborted.await.unwrap().unwrap();
            }
        }
        if page.is_truncated() != Some(true) {
            break;
        }
        key = page.next_key_marker().map(str::to_owned);
        id = page.next_upload_id_marker().map(str::to_owned);
    }
    assert_eq!(listed, begun);
    assert_eq!(host.running.activity().unfinished_uploads, 0);
}
