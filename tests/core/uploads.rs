//! Uploads that are held, let go on, and not wanted any more.

use std::time::Duration;

use lapse_core::Code;
use lapse_core::share::Source;
use lapse_tests::bytes;
use serde_json::json;

use super::{Core, link, request};

const MIB: u64 = 1024 * 1024;
/// What the first large upload to a storage sends before, to see how that shows what arrived.
const PROBED: u64 = 5 * MIB;

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_upload_keeps_what_arrived_and_goes_on() {
    let core = Core::new();
    let line = core.behind(16 * 1024 * 1024).await;
    let content = bytes(320 << 20);
    let file = core.cli.file("large.bin", &content);
    let (id, sharing) = core.begin(&file).await;
    assert_eq!(core.state(&id), "uploading");
    let arrived = || core.unfinished().unwrap().first().map_or(0, |upload| upload.share.arrived);
    core.until("a few parts", || (arrived() > 32 * MIB).then_some(())).await;
    core.pause(&id).unwrap();
    assert_eq!(core.state(&id), "paused");
    // What the system had taken already flows on for a moment.
    let mut before = 0;
    while before != line.sent() {
        before = line.sent();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(before < PROBED + 320 * MIB && !sharing.is_finished(), "a paused upload sends");
    let kept = arrived();
    core.resume(&id).unwrap();
    assert_eq!(core.state(&id), "uploading");
    let shared = sharing.await.unwrap().unwrap();
    link(&shared).get().assert_gives(&content, "large.bin");
    // Parts whose answers were under way when it was paused, and headers.
    let after = line.sent() - before;
    assert!(after < 320 * MIB - kept + 66 * MIB, "{after} bytes were sent, {kept} were there");
    assert!(core.heard.all_sent(&id).into_iter().all(|sent| sent <= 320 * MIB));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_upload_that_was_paused_is_sent_whole() {
    let core = Core::new();
    let line = core.behind(4 * 1024 * 1024).await;
    let content = bytes(8 << 20);
    let (id, sharing) = core.begin(&core.cli.file("small.bin", &content)).await;
    core.until("some of it", || (line.sent() > 2 * MIB).then_some(())).await;
    core.pause(&id).unwrap();
    // A second pause changes nothing.
    core.pause(&id).unwrap();
    assert_eq!(core.state(&id), "paused");
    core.resume(&id).unwrap();
    let shared = sharing.await.unwrap().unwrap();
    link(&shared).get().assert_gives(&content, "small.bin");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_uploads_only_the_one_that_is_meant_is_held() {
    let core = Core::new();
    let _line = core.behind(4 * 1024 * 1024).await;
    let (first, held) = core.begin(&core.cli.file("first.bin", bytes(8 << 20))).await;
    core.pause(&first).unwrap();
    let (second, sharing) = core.begin(&core.cli.file("second.bin", bytes(4 << 20))).await;
    sharing.await.unwrap().unwrap();
    assert_eq!((core.state(&first), core.state(&second)), ("paused", "active"));
    core.resume(&first).unwrap();
    held.await.unwrap().unwrap();
    let lines = core.heard.lines();
    for id in [&first, &second] {
        assert_eq!(lines.iter().filter(|line| **line == format!("ended {id}")).count(), 1);
        assert!(lines.contains(&format!("changed {id}")), "{lines:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_of_a_canceled_upload() {
    let core = Core::new();
    let line = core.behind(8 * 1024 * 1024).await;
    for (size, paused) in [(4, false), (64, false), (64, true)] {
        let before = line.sent();
        let file = core.cli.file("unwanted.bin", bytes(size << 20));
        let (id, sharing) = core.begin(&file).await;
        core.until("some of it", || (line.sent() > before + MIB).then_some(())).await;
        if paused {
            core.pause(&id).unwrap();
        }
        core.cancel(&id).await.unwrap();
        let error = sharing.await.unwrap().unwrap_err();
        assert_eq!(error.code, Code::Canceled);
        assert!(core.list().unwrap().is_empty());
        assert_eq!(core.state(&id), "failed");
        assert!(core.cli.keys().is_empty());
        let uploads = core.cli.s3("list_multipart_uploads", json!({})).unwrap();
        assert_eq!(uploads["Uploads"], json!(null), "{uploads}");
        assert_eq!(core.cli.run(["list", "--json"]).success().stdout, "");
        for told in [core.pause(&id), core.resume(&id).map(drop), core.cancel(&id).await] {
            assert_eq!(told.unwrap_err().code, Code::NotUploading);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_uploads_which_are_gone_on_with_later() {
    let core = Core::new();
    let line = core.behind(8 * 1024 * 1024).await;
    let content = bytes(64 << 20);
    let file = core.cli.file("large.bin", &content);
    let (id, sharing) = core.begin(&file).await;
    core.until("some of it", || (line.sent() > PROBED + MIB).then_some(())).await;
    core.pause(&id).unwrap();
    core.interrupt();
    assert_eq!(sharing.await.unwrap().unwrap_err().code, Code::Interrupted);
    assert_eq!(core.state(&id), "paused");
    assert_eq!(core.share_file(&file).await.unwrap_err().code, Code::Interrupted);
    assert!(core.cli.keys().is_empty());
    assert_eq!(core.list().unwrap().len(), 1, "what wasn't begun is listed");
    core.go_on();
    assert!(!core.resume(&id).unwrap(), "someone sends it");
    link(&core.carry_on(&id).await.unwrap()).get().assert_gives(&content, "large.bin");
    assert_eq!(core.carry_on(&id).await.unwrap_err().code, Code::NotUploading);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_from_memory_are_shared_under_their_name() {
    let core = Core::new();
    for size in [0, 5, 40 << 20] {
        let content = bytes(size);
        let source =
            Source::Bytes { name: "picture.png".to_owned(), bytes: content.clone().into() };
        let shared = core.share(request(source)).await.unwrap();
        link(&shared).get().assert_gives(&content, "picture.png");
        assert_eq!((shared.share.size, shared.share.file()), (size as u64, None));
        assert!(size < 40 << 20 || core.heard.sent(&shared.share.id) > 16 * MIB);
        let again = core.share_again(&shared.share.id, None, true).await.unwrap_err();
        assert_eq!(again.code, Code::FileMissing);
    }
}
