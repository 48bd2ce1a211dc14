//! The list: what is in it, what it tells, and what is done with a row of it.

use jiff::{SignedDuration, Timestamp};
use lapse_core::Code;
use lapse_core::profile::LOCAL;
use lapse_core::share::{Expiry, File, Reach, Source};
use lapse_tests::{Lapse, Server};

use super::{Core, link, request};

fn expiry(text: &str) -> Expiry {
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_shared_again_unless_it_is_gone_or_changed() {
    let core = Core::new();
    let file = core.cli.file("note.txt", "as it was");
    let mut asked = request(Source::File(file.clone()));
    (asked.inline, asked.name) = (true, Some("shown.txt".to_owned()));
    let first = core.share(asked).await.unwrap();
    core.revoke(&first.share.id, File::Deleted).await.unwrap();
    assert_eq!(first.share.file(), Some(&*file));

    let again = core.share_again(&first.share.id, Some(expiry("6h")), false).await.unwrap();
    assert_ne!(again.share.id, first.share.id);
    assert_eq!(again.link.facts.seconds, 6 * 3600);
    let answer = link(&again).get();
    assert_eq!(answer.body, b"as it was");
    assert!(
        answer.header("content-disposition").unwrap().starts_with("inline; filename=\"shown.txt\"")
    );

    std::fs::write(&file, "as it is").unwrap();
    let error = core.share_again(&first.share.id, None, false).await.unwrap_err();
    assert_eq!(error.code, Code::FileChanged);
    assert!(error.message.contains("note.txt"), "{error}");
    let changed = core.share_again(&first.share.id, None, true).await.unwrap();
    assert_eq!(link(&changed).get().body, b"as it is");

    std::fs::remove_file(&file).unwrap();
    let error = core.share_again(&first.share.id, None, true).await.unwrap_err();
    assert_eq!(error.code, Code::FileMissing);
    assert_eq!(core.list().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_signed_for_again() {
    let core = Core::new();
    let first = core.share_file(&core.cli.file("note.txt", "hello")).await.unwrap();
    let (bucket, key) = (first.share.bucket.clone(), first.share.key.clone());
    let signed = core.share(request(Source::Object { bucket, key })).await.unwrap();
    let again = core.share_again(&signed.share.id, None, false).await.unwrap();
    assert_eq!(again.share.key, first.share.key);
    assert_eq!(link(&again).get().body, b"hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_ended_leaves_the_list_and_is_still_known() {
    let core = Core::new();
    let file = core.cli.file("note.txt", "hello");
    let mut asked = request(Source::File(file.clone()));
    asked.expires = Some(expiry("1s"));
    let short = core.share(asked).await.unwrap().share.id;
    let revoked = core.share_file(&file).await.unwrap().share.id;
    core.revoke(&revoked, File::Deleted).await.unwrap();
    let alive = core.share_file(&file).await.unwrap().share.id;
    core.until("its end", || (core.state(&short) == "expired").then_some(())).await;

    let mut hidden = core.hide_ended().await.unwrap();
    hidden.sort();
    let mut ended = vec![short.clone(), revoked.clone()];
    ended.sort();
    assert_eq!(hidden, ended);
    let listed = core.list().unwrap();
    assert_eq!(listed.iter().map(|known| &known.share.id).collect::<Vec<_>>(), [&alive]);
    let told = core.cli.run(["list", "--json"]).success().json();
    assert_eq!(told["id"], alive.as_str());
    assert_eq!((core.state(&short), core.state(&revoked)), ("expired", "revoked"));
    core.cli.run(["show", short.as_str()]).success();
    assert!(core.hide_ended().await.unwrap().is_empty());
    assert!(core.heard.lines().contains(&format!("changed {short}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_another_process_is_seen_once() {
    let core = Core::new();
    let file = core.cli.file("note.txt", "hello");
    assert!(!core.changed_elsewhere().unwrap());
    core.share_file(&file).await.unwrap();
    assert!(!core.changed_elsewhere().unwrap(), "our own change is no news");
    core.cli.share(&file, &[]);
    assert!(core.changed_elsewhere().unwrap());
    assert!(!core.changed_elsewhere().unwrap());
    core.cli.run(["list"]).success();
    assert!(!core.changed_elsewhere().unwrap(), "a look changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_tells_where_its_link_opens_and_how_many_live() {
    let core = Core::new();
    assert_eq!(core.reach(LOCAL).unwrap(), Reach::Computer);
    assert_eq!(core.live_links(LOCAL).unwrap(), 0);
    let file = core.cli.file("note.txt", "hello");
    let shared = core.share_file(&file).await.unwrap();
    let id = &shared.share.id;
    core.extend(id, expiry("7d")).await.unwrap();
    let known = core.show(id).unwrap();
    assert_eq!((known.reach, known.live_links), (Reach::Computer, 2));
    assert_eq!(known.clock_ahead, SignedDuration::ZERO);
    assert_eq!(core.live_links(LOCAL).unwrap(), 2);
    // A sleeping store is waked by nothing of this.
    core.cli.run(["store", "stop"]).success();
    assert_eq!(core.list().unwrap()[0].reach, Reach::Computer);
    assert!(!core.store_status().unwrap().running);
    core.revoke(id, File::Deleted).await.unwrap();
    assert_eq!(core.show(id).unwrap().live_links, 0);
    assert_eq!(core.live_links(LOCAL).unwrap(), 0);
    assert_eq!(core.live_links("nobody").unwrap_err().code, Code::NoSuchProfile);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_of_a_storage_at_this_computers_own_address_opens_only_here() {
    let core = Core::over(Lapse::on(Server::SeaweedFs));
    let file = core.cli.file("note.txt", "hello");
    let id = core.cli.share(&file, &[]).id.parse().unwrap();
    assert_eq!(core.show(&id).unwrap().reach, Reach::Computer);
    assert_eq!(
        (core.reach("test").unwrap(), core.live_links("test").unwrap()),
        (Reach::Computer, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_known_until_when_an_object_stays() {
    let core = Core::new();
    let file = core.cli.file("note.txt", "hello");
    let shared = core.share_file(&file).await.unwrap().share;
    let week_later = shared.ends_at().unwrap() + SignedDuration::from_hours(7 * 24);
    assert!(week_later > Timestamp::now());
    assert_eq!(core.kept_until(&shared).unwrap(), Some(week_later));
    let object = Source::Object { bucket: shared.bucket.clone(), key: shared.key.clone() };
    let signed = core.share(request(object)).await.unwrap().share;
    assert_eq!(core.kept_until(&signed).unwrap(), None, "an object that was there before");
    std::fs::write(&file, "changed").unwrap();
    assert_eq!(core.kept_until(&shared).unwrap(), None, "the bucket has the only copy");
    core.revoke(&shared.id, File::Deleted).await.unwrap();
    assert_eq!(core.kept_until(&core.show(&shared.id).unwrap().share).unwrap(), None);
}
