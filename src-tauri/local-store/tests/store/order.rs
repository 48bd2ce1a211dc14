//! What survives a power cut hangs on the order of the system calls, so they are looked at (`strace`).

use std::collections::HashMap;
use std::process::{Command, Stdio};

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures_util::{StreamExt, stream};
use lapse_local_store::{BUCKET, Key};

use crate::form::FormDraft;
use crate::support::{Host, bytes};

const TRACED: &str = "LAPSE_TEST_TRACED";
const PART: usize = 5 * 1024 * 1024;

/// Puts that come at once, and how many of them at a time.
const CROWD: usize = 48;
const AT_ONCE: usize = 8;

/// Not a test by itself: the process whose calls are looked at, first one request after the other, then many at once.
#[tokio::test]
async fn traced_child() {
    if std::env::var_os(TRACED).is_none() {
        return;
    }
    let host = Host::start().await;
    let put = host.send(host.draft("PUT", "/lapse/put"), &bytes(3_000_000, 1)).await;
    assert_eq!(put.status, 200);
    let put = host.send(host.draft("PUT", "/lapse/put"), &bytes(10, 2)).await;
    assert_eq!(put.status, 200);
    assert_eq!(FormDraft::new(&host, "form").send(&host, &bytes(100_000, 3)).await.status, 204);

    let client = host.client(Key::Profile);
    let upload = client.create_multipart_upload().bucket(BUCKET).key("big").send().await.unwrap();
    let id = upload.upload_id().unwrap();
    let mut completed = CompletedMultipartUpload::builder();
    for (number, length) in [(1, PART), (2, 10)] {
        let part = client.upload_part().bucket(BUCKET).key("big").upload_id(id);
        let part = part.part_number(number).body(bytes(length, 4).into()).send().await.unwrap();
        let part = CompletedPart::builder().part_number(number).e_tag(part.e_tag().unwrap());
        completed = completed.parts(part.build());
    }
    let complete = client.complete_multipart_upload().bucket(BUCKET).key("big").upload_id(id);
    complete.multipart_upload(completed.build()).send().await.unwrap();

    let copy = client.copy_object().bucket(BUCKET).key("copy");
    copy.copy_source(format!("{BUCKET}/big")).send().await.unwrap();
    assert_eq!(host.send(host.draft("DELETE", "/lapse/put"), b"").await.status, 204);

    let crowd = (0..CROWD).map(|number| {
        let draft = host.draft("PUT", &format!("/lapse/crowd-{number}"));
        let host = &host;
        async move { assert_eq!(host.send(draft, &bytes(20_000, 5)).await.status, 200) }
    });
    stream::iter(crowd).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// What matters of a system call, and the lines of the trace where it began and ended.
#[derive(Debug)]
struct Call {
    kind: Kind,
    began: usize,
    ended: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    WriteData,
    SyncData,
    Rename,
    SyncFolder,
    Commit,
    RemoveBlob,
    Answer,
}

fn kind(line: &str) -> Option<Kind> {
    let (name, arguments) = line.split_once('(')?;
    let in_tmp = arguments.contains("/store/tmp/");
    let is_sync = matches!(name, "fsync" | "fdatasync");
    let is_write = matches!(name, "write" | "writev" | "pwrite64" | "sendto" | "sendmsg");
    match name {
        _ if is_sync && in_tmp => Some(Kind::SyncData),
        _ if is_sync && arguments.contains("/store/blobs>") => Some(Kind::SyncFolder),
        _ if is_sync && arguments.contains("/index.db-wal>") => Some(Kind::Commit),
        _ if is_write && in_tmp => Some(Kind::WriteData),
        _ if is_write && arguments.contains("\"HTTP/1.1 2") => Some(Kind::Answer),
        "rename" | "renameat" | "renameat2" if in_tmp => Some(Kind::Rename),
        "unlink" | "unlinkat" if arguments.contains("/store/blobs/") => Some(Kind::RemoveBlob),
        _ => None,
    }
}

/// The calls in the order in which they ended; a thread's call may be told in two lines.
fn calls(trace: &str) -> Vec<Call> {
    let mut open: HashMap<&str, (Kind, usize)> = HashMap::new();
    let mut calls = Vec::new();
    for (number, line) in trace.lines().enumerate() {
        let (thread, line) = line.split_once(' ').unwrap();
        let line = line.trim_start();
        if line.starts_with("<... ") {
            if let Some((kind, began)) = open.remove(thread) {
                calls.push(Call { kind, began, ended: number });
            }
        } else if let Some(kind) = kind(line) {
            if line.ends_with("<unfinished ...>") {
                open.insert(thread, (kind, number));
            } else {
                calls.push(Call { kind, began: number, ended: number });
            }
        }
    }
    calls
}

/// Whether the calls before an answer were these, each over before the next one began.
fn assert_order(what: &str, calls: &[Call], expected: &[Kind]) {
    let mut seen: Vec<Kind> = calls.iter().map(|call| call.kind).collect();
    seen.dedup();
    assert_eq!(seen, expected, "{what}");
    for pair in calls.windows(2) {
        let is_in_turn = pair[0].ended < pair[1].began || pair[0].kind == pair[1].kind;
        assert!(is_in_turn, "{what}: {pair:?}");
    }
}

/// Puts that share a commit: there are never more answers than files whose data, name and row were synced, in that order.
fn assert_nothing_is_answered_early(calls: &[Call]) {
    use Kind::{Answer, Commit, Rename, SyncData, SyncFolder};
    let over_before = |kind: Kind, line: usize| {
        calls.iter().filter(|call| call.kind == kind && call.ended < line).count()
    };
    // What a sync covers is what was over when it began.
    let covered = |kind: Kind, by: usize, was: &dyn Fn(usize) -> usize| {
        let syncs = calls.iter().filter(|call| call.kind == kind && call.ended < by);
        syncs.map(|call| was(call.began)).max().unwrap_or(0)
    };
    let renamed = |line| over_before(Rename, line);
    let named = |line| covered(SyncFolder, line, &renamed);
    let committed = |line| covered(Commit, line, &named);
    let mut answers = 0;
    for call in calls {
        match call.kind {
            Answer => {
                answers += 1;
                assert!(committed(call.began) >= answers, "answer {answers} came early");
            }
            Rename => assert!(over_before(SyncData, call.began) > renamed(call.began)),
            _ => {}
        }
    }
    assert_eq!(answers, CROWD);
    let commits = calls.iter().filter(|call| call.kind == Commit).count();
    assert!(commits < CROWD, "{commits} commits of {CROWD} puts: none was shared");
}

#[test]
fn what_is_answered_is_on_the_disk() {
    use Kind::{Answer, Commit, RemoveBlob, Rename, SyncData, SyncFolder, WriteData};
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let traced = Command::new("strace")
        .args(["-f", "-y", "-s", "32", "-o"])
        .arg(&trace)
        .args(["-e", "trace=fsync,fdatasync,rename,renameat,renameat2,write,writev,pwrite64,sendto,sendmsg,unlink,unlinkat"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "order::traced_child"])
        .env(TRACED, "1")
        .stdin(Stdio::null())
        .output()
        .expect("strace is there");
    assert!(traced.status.success(), "{traced:?}");
    let mut calls = calls(&std::fs::read_to_string(&trace).unwrap());
    // The keys' uses are written down at the end, for nobody who waits.
    let last = calls.iter().rposition(|call| call.kind == Kind::Answer).unwrap();
    calls.truncate(last + 1);
    // The first start isn't a request.
    let first = calls.iter().position(|call| call.kind == Kind::WriteData).unwrap();
    calls.drain(..first);

    let first_of_crowd =
        calls.iter().enumerate().filter(|(_, call)| call.kind == Kind::Answer).nth(8).unwrap().0
            + 1;
    let crowd = calls.split_off(first_of_crowd);
    assert_nothing_is_answered_early(&crowd);
    let answers: Vec<_> = calls.split_inclusive(|call| call.kind == Kind::Answer).collect();
    let stored = [WriteData, SyncData, Rename, SyncFolder, Commit, Answer];
    let replaced = [WriteData, SyncData, Rename, SyncFolder, Commit, RemoveBlob, Answer];
    let expected: [(&str, &[Kind]); 9] = [
        ("PutObject", &stored),
        ("PutObject over another", &replaced),
        ("POST form", &stored),
        ("CreateMultipartUpload", &[Commit, Answer]),
        ("UploadPart", &stored),
        ("UploadPart", &stored),
        ("CompleteMultipartUpload", &[Commit, Answer]),
        ("CopyObject", &[Commit, Answer]),
        ("DeleteObject", &[Commit, RemoveBlob, Answer]),
    ];
    assert_eq!(answers.len(), expected.len(), "{answers:#?}");
    for (calls, (what, expected)) in answers.iter().zip(expected) {
        assert_order(what, calls, expected);
    }
}
