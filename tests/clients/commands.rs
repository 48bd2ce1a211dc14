//! Commands: one suite for all. `NAME.sh` says how each does what the suite asks for.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use lapse_tests::{Lapse, Link, Output, bytes};
use serde_json::json;

use super::{blobs, folder, shell};

/// Each test once for each command that is named.
macro_rules! with_each {
    ($(fn $test:ident($client:ident: $($name:ident)|+) $body:block)+) => {
        $(with_each!(@one $test ($client) $body $($name)+);)+
    };
    (@one $test:ident ($client:ident) $body:block $($name:ident)+) => {
        mod $test {
            use super::*;
            fn test($client: &Client) $body
            $(#[test] fn $name() { test(&Client::new(stringify!($name))) })+
        }
    };
}

struct Client {
    lapse: Lapse,
    functions: String,
}

impl Client {
    fn new(name: &str) -> Self {
        let functions = folder().join(format!("{name}.sh"));
        Self { lapse: Lapse::new(), functions: functions.to_str().unwrap().to_owned() }
    }

    fn try_to(&self, words: &[&str]) -> Output {
        let script = format!(". '{}'; \"$@\"", self.functions);
        Output::of(&mut shell(&self.lapse, &script, words))
    }

    /// Calls a function of the client's script.
    fn does(&self, words: &[&str]) -> String {
        self.try_to(words).success().stdout
    }

    /// Stores an object, gets it again, and compares.
    fn keeps(&self, key: &str, content: &[u8]) {
        self.lapse.file("to", content);
        self.does(&["put", "to", key]);
        self.gives(key, content);
    }

    fn gives(&self, key: &str, content: &[u8]) {
        let from = self.lapse.folder("files").join("from");
        let _none_yet = fs::remove_file(&from);
        self.does(&["get", key, "from"]);
        assert!(fs::read(&from).unwrap() == content, "other bytes came of {key}");
    }

    fn head(&self, key: &str) -> serde_json::Value {
        self.lapse.s3("head_object", json!({"Key": key})).unwrap()
    }
}

with_each! {
    fn large_file_goes_in_parts_and_comes_back_whole(client: aws | s5cmd | rclone | s3cmd) {
        let content = bytes(20 << 20);
        client.keeps("large", &content);
        let etag = client.head("large")["ETag"].as_str().unwrap().to_owned();
        assert!(etag.contains('-'), "it went in one piece: {etag}");
        client.does(&["copy", "large", "folder/copy"]);
        client.gives("folder/copy", &content);
        client.does(&["remove", "large"]);
        assert_eq!(client.lapse.keys(), ["folder/copy"]);
    }

    fn key_of_any_letters_is_its_own_object(client: aws | s5cmd | rclone | s3cmd) {
        let long = format!("{}/{}", "日".repeat(80), "k".repeat(1024 - 241));
        let keys = ["a", "a b", "a%20b", "a+b", "a/b", "100%", "ü/日本.txt", "&=;~'(x)!", &long];
        for (number, key) in keys.iter().enumerate() {
            client.lapse.file("to", vec![b'x'; number]);
            client.does(&["put", "to", key]);
        }
        let mut sorted = keys.to_vec();
        sorted.sort_unstable();
        assert_eq!(client.lapse.keys(), sorted);
        for (number, key) in keys.iter().enumerate() {
            client.gives(key, &vec![b'x'; number]);
        }
        for key in ["a", "a%20b", &long] {
            client.does(&["remove", key]);
        }
        assert_eq!(client.lapse.keys(), ["&=;~'(x)!", "100%", "a b", "a+b", "a/b", "ü/日本.txt"]);
        client.does(&["copy", "a+b", "a%20b"]);
        client.gives("a%20b", b"xxx");
    }

    fn more_than_a_page_is_listed_and_deleted(client: aws | s5cmd | rclone | s3cmd) {
        let many = client.lapse.folder("files").join("many");
        fs::create_dir_all(many.join("below")).unwrap();
        for number in 0..1010 {
            fs::write(many.join(format!("below/{number}")), "x").unwrap();
        }
        fs::write(many.join("beside"), "x").unwrap();
        // s5cmd is quick; what is tried here is who lists.
        let fill = "S3_ENDPOINT_URL=$AWS_ENDPOINT_URL s5cmd --log error cp many \"s3://$BUCKET/\"";
        Output::of(&mut shell(&client.lapse, fill, &[])).success();
        assert_eq!(client.does(&["list_all", "many/"]).lines().count(), 1011);
        let level = client.does(&["list", "many/"]);
        assert_eq!(level.lines().count(), 2, "{level}");
        assert!(level.contains("below/") && level.contains("beside"), "{level}");
        client.does(&["remove_all", "many/below/"]);
        assert_eq!(client.lapse.keys(), ["many/beside"]);
        assert_eq!(blobs(&client.lapse).len(), 1);
    }

    fn second_sync_moves_nothing(client: aws | s5cmd | rclone | s3cmd) {
        let files = client.lapse.folder("files");
        let (here, there) = (files.join("here"), files.join("there"));
        for name in ["one", "two words", "ü/+%25", "ü/日本/deep"] {
            fs::create_dir_all(here.join(name).parent().unwrap()).unwrap();
            fs::write(here.join(name), name).unwrap();
            // S3 tells whole seconds: an object of the same second as its file would be older than it.
            let file = fs::File::options().write(true).open(here.join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_mins(1)).unwrap();
        }
        fs::create_dir(&there).unwrap();
        client.does(&["sync_up", "here", "backup"]);
        assert_eq!(client.lapse.keys().len(), 4);
        let kept = blobs(&client.lapse);
        client.does(&["sync_up", "here", "backup"]);
        assert_eq!(blobs(&client.lapse), kept, "something was sent again");

        client.does(&["sync_down", "backup", "there"]);
        assert_eq!(content(&there), content(&here));
        let written = inodes(&there);
        client.does(&["sync_down", "backup", "there"]);
        assert_eq!(inodes(&there), written, "something was fetched again");

        fs::write(here.join("one"), "has changed").unwrap();
        fs::remove_file(here.join("two words")).unwrap();
        client.does(&["sync_up", "here", "backup"]);
        client.does(&["sync_down", "backup", "there"]);
        assert_eq!(content(&there), content(&here));
    }

    fn type_and_metadata_stay_with_the_object(client: aws | s5cmd | rclone | s3cmd) {
        client.lapse.file("to", "a,b");
        client.does(&["put_described", "to", "table"]);
        client.does(&["copy", "table", "copy"]);
        for key in ["table", "copy"] {
            let head = client.head(key);
            assert_eq!((&head["ContentType"], &head["Metadata"]["color"]), (&json!("text/csv"), &json!("blue")), "{head}");
        }
    }

    fn link_opens_until_it_is_forged(client: aws | s5cmd | rclone) {
        client.keeps("for you/ü +1.txt", b"hello");
        let link = Link(client.does(&["presign", "for you/ü +1.txt"]).trim_end().to_owned());
        let answer = link.get();
        assert_eq!((answer.status, &*answer.body), (200, &b"hello"[..]), "{answer:?}");
        link.with_forged_signature().get().assert_refused();
        link.with_parameter("X-Amz-Expires", "604800").get().assert_refused();
    }

    fn upload_that_is_given_up_leaves_nothing(client: aws | rclone | s3cmd) {
        let upload = client.lapse.s3("create_multipart_upload", json!({"Key": "begun"})).unwrap();
        let id = upload["UploadId"].as_str().unwrap();
        let part = json!({"Key": "begun", "UploadId": id, "PartNumber": 1, "Body": "x"});
        client.lapse.s3("upload_part", part).unwrap();
        assert_eq!(blobs(&client.lapse).len(), 1);
        client.does(&["give_up", "begun", id]);
        assert_eq!(blobs(&client.lapse).len(), 0);
        let left = client.lapse.s3("list_multipart_uploads", json!({})).unwrap();
        assert!(left["Uploads"].is_null(), "{left}");
    }
}

/// s3cmd signs links by version 2 only, whose links have no longest life.
#[test]
fn link_of_s3cmd_is_refused() {
    let client = Client::new("s3cmd");
    client.keeps("note", b"hello");
    let link = Link(client.does(&["presign", "note"]).trim_end().to_owned());
    assert_eq!(link.get().code().as_deref(), Some("InvalidRequest"), "{link:?}");
}

/// What is in the files of a folder, by their place in it.
fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    by_place(folder, |file| fs::read(file).unwrap())
}

/// Which files these are: one that is fetched again has another inode or time.
fn inodes(folder: &Path) -> BTreeMap<String, (u64, i64, i64)> {
    by_place(folder, |file| {
        let metadata = fs::metadata(file).unwrap();
        (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
    })
}

fn by_place<T>(folder: &Path, look: impl Fn(&Path) -> T) -> BTreeMap<String, T> {
    let files = lapse_tests::leaks::files(folder);
    let place = |file: &Path| file.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    files.iter().map(|file| (place(file), look(file))).collect()
}
