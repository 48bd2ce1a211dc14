//! What core's own `Bucket` must get from every server, since shares stand on it.

use lapse_core::keychain::Sensitive;
use lapse_core::profile::{Draft, SignIn};
use lapse_core::storage::{Arrived, Bucket, Headers, Integrity, Joined, Keys, LinkFacts, Seen};
use lapse_core::{Code, ServerClock};
use lapse_tests::{Lapse, Server, bytes};

const PART: usize = 5 << 20;

on_every_server! {
    fn an_object_is_put_looked_at_listed_and_deleted(server: Server) {
        on_a_bucket(server, async |bucket| {
            let etag = bucket.put("a/note.txt", &headers(), b"hello".to_vec().into(), 5, None).await.unwrap().etag;
            let object = bucket.head("a/note.txt").await.unwrap();
            assert_eq!((object.size, object.etag), (5, etag));
            bucket.put("a/empty", &headers(), Vec::new().into(), 0, None).await.unwrap();
            assert_eq!(bucket.head("a/empty").await.unwrap().size, 0);
            bucket.put("b", &headers(), b"x".to_vec().into(), 1, None).await.unwrap();
            assert_eq!(bucket.list("a/").await.unwrap(), ["a/empty", "a/note.txt"]);
            bucket.delete("a/note.txt").await.unwrap();
            bucket.delete("a/note.txt").await.unwrap();
            assert_eq!(bucket.head("a/note.txt").await.unwrap_err().code, Code::NoSuchObject);
            assert_eq!(bucket.list("a/").await.unwrap(), ["a/empty"]);
        });
    }

    fn keys_of_any_letters_keep_their_objects_apart(server: Server) {
        on_a_bucket(server, async |bucket| {
            let keys = ["a b", "a+b", "a%20b", "ä/日本", "a&b=c;d", "(x)'*!~"];
            for (number, key) in keys.iter().enumerate() {
                bucket.put(key, &headers(), vec![b'x'; number + 1].into(), number as u64 + 1, None).await.unwrap();
            }
            for (number, key) in keys.iter().enumerate() {
                assert_eq!(bucket.head(key).await.unwrap().size, number as u64 + 1, "{key}");
                assert_eq!(ask(bucket, key, number as u64 + 1).await, Seen::Works, "{key}");
            }
        });
    }

    fn parts_make_one_object_in_their_order(server: Server) {
        on_a_bucket(server, async |bucket| {
            let content = bytes(PART + 1000);
            let upload = bucket.create_multipart("big", &headers(), Integrity::Md5).await.unwrap();
            let mut parts = Vec::new();
            for (number, part) in [(2, &content[PART..]), (1, &content[..PART])] {
                let sent = part.to_vec().into();
                parts.push(bucket.upload_part("big", &upload, number, sent, part.len() as u64, None).await.unwrap());
            }
            parts.reverse();
            let listed = bucket.list_parts("big", &upload).await.unwrap().unwrap();
            let listed: Vec<_> = listed.into_iter().map(|(number, (size, part))| (number, size, part.etag)).collect();
            let etag = |at: usize| parts[at].etag.clone();
            assert_eq!(listed, [(1, PART as u64, etag(0)), (2, 1000, etag(1))]);
            assert_eq!(bucket.list_uploads("big").await.unwrap(), [("big".to_owned(), upload.clone())]);
            assert!(bucket.list_uploads("bigger").await.unwrap().is_empty());
            assert_eq!(bucket.head("big").await.unwrap_err().code, Code::NoSuchObject, "there before its end");
            let joined = bucket.complete_multipart("big", &upload, &parts, None).await.unwrap();
            let etag = match joined {
                Joined::Whole(Arrived { etag, .. }) => etag,
                Joined::NoSuchUpload | Joined::OtherParts => String::new(),
            };
            let object = bucket.head("big").await.unwrap();
            assert_eq!((object.size, object.etag), (content.len() as u64, etag));
            let link = facts(bucket, "big").presign(bucket.keys()).unwrap();
            assert_eq!(lapse_tests::Link(link.expose().clone()).get().body, content);
        });
    }

    fn an_upload_that_is_given_up_leaves_nothing(server: Server) {
        on_a_bucket(server, async |bucket| {
            let upload = bucket.create_multipart("big", &headers(), Integrity::Md5).await.unwrap();
            let part = bytes(1000);
            bucket.upload_part("big", &upload, 1, part.into(), 1000, None).await.unwrap();
            bucket.abort_multipart("big", &upload).await.unwrap();
            bucket.abort_multipart("big", &upload).await.unwrap();
            assert!(bucket.list("").await.unwrap().is_empty());
            let parts = [Arrived { etag: "\"0\"".to_owned(), crc64: None }];
            let joined = bucket.complete_multipart("big", &upload, &parts, None).await;
            assert!(matches!(joined, Ok(Joined::NoSuchUpload)), "{joined:?}");
            assert!(bucket.list_parts("big", &upload).await.unwrap().is_none());
            assert!(bucket.list_uploads("").await.unwrap().is_empty());
            assert_eq!(bucket.head("big").await.unwrap_err().code, Code::NoSuchObject);
        });
    }

    fn a_link_is_seen_to_work_then_its_object_to_be_gone(server: Server) {
        on_a_bucket(server, async |bucket| {
            bucket.put("note", &headers(), b"hello".to_vec().into(), 5, None).await.unwrap();
            assert_eq!(ask(bucket, "note", 5).await, Seen::Works);
            bucket.delete("note").await.unwrap();
            assert_eq!(ask(bucket, "note", 5).await, Seen::Gone);
        });
    }
}

fn headers() -> Headers {
    Headers {
        content_type: "text/plain; charset=utf-8".to_owned(),
        disposition: "attachment; filename=\"note.txt\"".to_owned(),
    }
}

fn facts(bucket: &Bucket, key: &str) -> LinkFacts {
    LinkFacts::new(bucket.profile(), key, &bucket.keys().access_key, bucket.clock().now(), 900)
}

async fn ask(bucket: &Bucket, key: &str, size: u64) -> Seen {
    bucket.ask(&facts(bucket, key), bucket.keys(), size).await.unwrap()
}

fn on_a_bucket<F: AsyncFnOnce(&Bucket)>(server: Server, test: F) {
    let lapse = Lapse::on(server);
    let (user, name) = lapse.bucket();
    let draft = Draft {
        name: "test".to_owned(),
        provider: if server == Server::SeaweedFs { "seaweedfs" } else { "other" }.to_owned(),
        endpoint: Some(user.endpoint.clone()),
        region: Some("us-east-1".to_owned()),
        bucket: name,
        sign_in: Some(SignIn::AccessKey(user.access_key.clone())),
        ..Draft::default()
    };
    let keys = Keys::lasting(&user.access_key, Sensitive::new(user.secret_key.clone()));
    let bucket = Bucket::open(draft.build().unwrap(), keys, ServerClock::default()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        bucket.check_exists().await.unwrap();
        test(&bucket).await;
    });
}
