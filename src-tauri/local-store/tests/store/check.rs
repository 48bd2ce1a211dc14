//! Every blob is compared with what was stored.

use std::fs;
use std::path::PathBuf;

use lapse_local_store::{BUCKET, Checked, Damage, Key, check};

use crate::support::{Host, bytes, flip, names};

/// The blob file of the only object whose bytes start so.
fn blob(host: &Host, start: &[u8]) -> PathBuf {
    let blobs = host.store().join("blobs");
    let mut paths = names(&blobs).into_iter().map(|name| blobs.join(name));
    paths.find(|path| fs::read(path).unwrap().starts_with(start)).unwrap()
}

#[tokio::test]
async fn every_damage_is_named_and_nothing_else() {
    let host = Host::start().await;
    assert_eq!(check(&host.store(), |_| {}).unwrap(), Checked::default());
    let client = host.client(Key::Root);
    let body = |seed| bytes(300_000, seed);
    for (key, seed) in [("good", 1), ("torn", 2), ("flipped", 3), ("gone", 4)] {
        client.put_object().bucket(BUCKET).key(key).body(body(seed).into()).send().await.unwrap();
    }
    // A copy shares its source's file, which is read once.
    let copy = client.copy_object().bucket(BUCKET).key("copy");
    copy.copy_source(format!("{BUCKET}/flipped")).send().await.unwrap();
    let upload = client.create_multipart_upload().bucket(BUCKET).key("big").send().await.unwrap();
    let part = client.upload_part().bucket(BUCKET).key("big").part_number(1);
    let part = part.upload_id(upload.upload_id().unwrap()).body(body(5).into());
    part.send().await.unwrap();

    let mut told = 0;
    let whole = check(&host.store(), |read| told = read).unwrap();
    assert_eq!(whole, Checked { files: 5, bytes: 1_500_000, damaged: Vec::new() });
    assert_eq!(told, whole.bytes);

    let torn = fs::OpenOptions::new().write(true).open(blob(&host, &body(2)[..64])).unwrap();
    torn.set_len(299_999).unwrap();
    // The last byte; and the last of the checksums behind the bytes.
    flip(&blob(&host, &body(3)[..64]), 299_999);
    let path = blob(&host, &body(5)[..64]);
    flip(&path, path.metadata().unwrap().len() - 1);
    fs::remove_file(blob(&host, &body(4)[..64])).unwrap();

    let expected = [
        ("big", true, Damage::Bytes),
        ("copy", false, Damage::Bytes),
        ("flipped", false, Damage::Bytes),
        ("gone", false, Damage::Missing),
        ("torn", false, Damage::Size),
    ];
    let found = |store| {
        let checked = check(store, |_| {}).unwrap();
        let damaged = checked.damaged.into_iter();
        let mut found: Vec<_> =
            damaged.map(|found| (found.key, found.unfinished, found.damage)).collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found
    };
    let store = host.store();
    let expected = expected.map(|(key, unfinished, damage)| (key.to_owned(), unfinished, damage));
    assert_eq!(found(&store), expected);
    host.running.stop().await;
    assert_eq!(found(&store), expected, "also when nobody hosts it");
}

#[tokio::test]
async fn what_is_deleted_meanwhile_is_not_damage() {
    let host = Host::start().await;
    let client = host.client(Key::Root);
    for key in ["a", "b", "c"] {
        let body = bytes(1000, u64::from(key.as_bytes()[0]));
        client.put_object().bucket(BUCKET).key(key).body(body.into()).send().await.unwrap();
    }
    // After the first file the rest is deleted: their rows were read already, their files are gone.
    let blobs = host.store().join("blobs");
    let runtime = tokio::runtime::Handle::current();
    let store = host.store();
    let checking = tokio::task::spawn_blocking(move || {
        let mut first = true;
        check(&store, |_| {
            if std::mem::take(&mut first) {
                runtime.block_on(async {
                    for key in ["a", "b", "c"] {
                        client.delete_object().bucket(BUCKET).key(key).send().await.unwrap();
                    }
                });
            }
        })
    });
    let checked = checking.await.unwrap().unwrap();
    assert!(names(&blobs).is_empty());
    assert_eq!((checked.files, checked.damaged), (3, Vec::new()));
}
