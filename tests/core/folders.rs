//! A folder that changes, and one that is shared again.

use lapse_core::Code;
use lapse_tests::bytes;
use serde_json::json;

use super::{Core, link};

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_changes_while_it_is_packed_is_not_shared() {
    let core = Core::new();
    let line = core.behind(16 * 1024 * 1024).await;
    let folder = core.cli.folder("files").join("busy");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a.bin"), bytes(48 << 20)).unwrap();
    std::fs::write(folder.join("z.txt"), "as it was").unwrap();
    for change in ["changed", "new"] {
        let before = line.sent();
        let (id, sharing) = core.begin(&folder).await;
        core.until("some of it", || (line.sent() > before + (1 << 20)).then_some(())).await;
        let name = if change == "changed" { "z.txt" } else { "new.txt" };
        std::fs::write(folder.join(name), "as it is, and longer").unwrap();
        let error = sharing.await.unwrap().unwrap_err();
        assert_eq!(error.code, Code::FileChanged, "{error}");
        assert!(error.message.contains(name), "{error}");
        assert_eq!(core.state(&id), "failed");
        assert!(core.cli.keys().is_empty());
        let uploads = core.cli.s3("list_multipart_uploads", json!({})).unwrap();
        assert_eq!(uploads["Uploads"], json!(null), "{uploads}");
    }
    let (id, sharing) = core.begin(&folder).await;
    core.until("some of it", || (core.heard.sent(&id) > 1 << 20).then_some(())).await;
    core.cancel(&id).await.unwrap();
    assert_eq!(sharing.await.unwrap().unwrap_err().code, Code::Canceled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_packed_anew_when_it_is_shared_again() {
    let core = Core::new();
    let folder = core.cli.folder("files").join("notes");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("one.txt"), "one").unwrap();
    let first = core.share_file(&folder).await.unwrap();
    assert_eq!(first.share.file(), Some(&*folder));
    assert!(core.kept_until(&first.share).unwrap().is_some());
    std::fs::write(folder.join("two.txt"), "two").unwrap();
    assert!(core.kept_until(&first.share).unwrap().is_none(), "the bucket has what was there");
    let again = core.share_again(&first.share.id, None, false).await.unwrap();
    assert_eq!(again.share.name, "notes.zip");
    let body = link(&again).get().body;
    assert!(body.windows(7).any(|window| window == b"two.txt"));
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "a file now").unwrap();
    let error = core.share_again(&first.share.id, None, true).await.unwrap_err();
    assert_eq!(error.code, Code::FileMissing);
}
