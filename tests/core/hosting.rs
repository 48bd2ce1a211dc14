//! The local store in the process of the window, and what becomes of it.

use lapse_core::share::File;
use lapse_core::{Code, KeychainChoice, StoreHost};
use lapse_tests::{Lapse, Output, lapse};

use super::{Core, link};

fn window(cli: Lapse) -> Core {
    let store_host = StoreHost::Here { program: Some(lapse::binary()) };
    Core::with(cli, KeychainChoice::ThisRun, store_host)
}

fn host(core: &Core) -> Option<u32> {
    core.store_status().unwrap().pid
}

#[tokio::test(flavor = "multi_thread")]
async fn links_outlive_the_window_that_hosted_them() {
    let core = window(Lapse::new());
    let file = core.cli.file("note.txt", "hello");
    assert!(!core.hosts_store().await);
    assert!(!core.serve_live_links().await.unwrap());
    let shared = core.share_file(&file).await.unwrap();
    link(&shared).get().assert_gives(b"hello", "note.txt");
    assert!(core.hosts_store().await);
    assert_eq!(host(&core), Some(std::process::id()));

    // The command line uses it, and doesn't end the window.
    core.cli.share(&file, &[]).link.get().assert_gives(b"hello", "note.txt");
    let refused = core.cli.run(["store", "stop", "--json"]);
    assert_eq!((refused.code, refused.error_code().as_str()), (Some(1), "store"), "{refused:#?}");
    assert!(core.hosts_store().await);

    assert!(core.hand_over_store().await.unwrap());
    assert!(!core.hosts_store().await);
    let background = host(&core);
    assert!(background.is_some() && background != Some(std::process::id()), "{background:?}");
    link(&shared).get().assert_gives(b"hello", "note.txt");
    assert!(!core.hand_over_store().await.unwrap(), "there is nothing to hand over");

    // Another process hosts it: that one is used, and when it ends, this one goes on.
    core.share_file(&file).await.unwrap();
    assert_eq!(host(&core), background);
    core.cli.run(["store", "stop"]).success();
    assert!(core.serve_live_links().await.unwrap());
    assert_eq!(host(&core), Some(std::process::id()));
    link(&shared).get().assert_gives(b"hello", "note.txt");

    // What comes after the window finds the place free.
    let Core { lapse, cli, .. } = core;
    drop(lapse);
    let output = Output::of(&mut cli.command(["check", shared.share.id.as_str(), "--json"]));
    assert_eq!(output.success().json()["state"], "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_without_links_that_live_is_not_handed_over() {
    let core = window(Lapse::new());
    let shared = core.share_file(&core.cli.file("note.txt", "hello")).await.unwrap();
    core.revoke(&shared.share.id, File::Deleted).await.unwrap();
    assert!(!core.hand_over_store().await.unwrap());
    assert_eq!(host(&core), None);
    // The window may go on all the same.
    core.share_file(&core.cli.file("note.txt", "hello")).await.unwrap();
    assert!(core.stop_store().await.unwrap());
    assert_eq!((host(&core), core.hosts_store().await), (None, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_needs_at_once_start_one_store() {
    let core = window(Lapse::new());
    let sharing = (0..20).map(|number| {
        let (core, file) = (core.clone(), core.cli.file(format!("{number}.txt"), "hello"));
        tokio::spawn(async move { core.share_file(&file).await })
    });
    for shared in sharing.collect::<Vec<_>>() {
        let shared = shared.await.unwrap().unwrap();
        link(&shared).get().assert_gives(b"hello", &shared.share.name);
    }
    assert_eq!(host(&core), Some(std::process::id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_go_on_without_a_program() {
    let store_host = StoreHost::Here { program: None };
    let core = Core::with(Lapse::new(), KeychainChoice::ThisRun, store_host);
    core.share_file(&core.cli.file("note.txt", "hello")).await.unwrap();
    assert!(!core.hand_over_store().await.unwrap());
    assert_eq!(host(&core), None);
    let nobody = Core::with(Lapse::new(), KeychainChoice::ThisRun, StoreHost::Nobody);
    let refused = nobody.share_file(&nobody.cli.file("note.txt", "hello")).await.unwrap_err();
    assert_eq!(refused.code, Code::Store);
}
