//! What the person chose, kept and followed.

use std::time::Instant;

use lapse_core::Code;
use lapse_core::settings::Theme;
use lapse_tests::bytes;

use super::{Core, link};

const MIB: u64 = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn all_uploads_together_keep_to_the_limit() {
    let core = Core::new();
    let (small, large) = (bytes(2 << 20), bytes(20 << 20));
    let (first, second) = (core.cli.file("1.bin", &small), core.cli.file("2.bin", &small));
    // The store is up, and what isn't limited is fast.
    let began = Instant::now();
    core.share_file(&first).await.unwrap();
    core.share_file(&first).await.unwrap();
    assert!(began.elapsed().as_secs_f64() < 3.0, "{:?}", began.elapsed());

    let mut chosen = core.preferences().unwrap();
    assert_eq!(chosen.upload_limit, None);
    chosen.upload_limit = Some(MIB);
    core.set_preferences(&chosen).unwrap();
    let began = Instant::now();
    let (one, other) = tokio::join!(core.share_file(&first), core.share_file(&second));
    let took = began.elapsed().as_secs_f64();
    assert!((3.5..9.0).contains(&took), "4 MiB at 1 MiB a second took {took} s");
    for shared in [one.unwrap(), other.unwrap()] {
        assert_eq!(link(&shared).get().body, small);
    }

    // An upload under way follows a change.
    let began = Instant::now();
    let (id, sharing) = core.begin(&core.cli.file("large.bin", &large)).await;
    core.until("some of it", || (core.heard.sent(&id) > MIB).then_some(())).await;
    assert!(!sharing.is_finished());
    chosen.upload_limit = None;
    core.set_preferences(&chosen).unwrap();
    let shared = sharing.await.unwrap().unwrap();
    assert!(began.elapsed().as_secs_f64() < 10.0, "{:?}", began.elapsed());
    assert_eq!(link(&shared).get().body, large);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_chosen_is_kept_and_nonsense_refused() {
    let core = Core::new();
    let first = core.preferences().unwrap();
    let mut chosen = first.clone();
    (chosen.window.theme, chosen.window.zoom) = (Theme::Dark, 1.25);
    chosen.expires = "3d".parse().unwrap();
    core.set_preferences(&chosen).unwrap();
    assert_eq!(core.preferences().unwrap(), chosen);
    let share = core.cli.share(&core.cli.file("note.txt", "hello"), &[]);
    assert_eq!(share.link.parameter("X-Amz-Expires").as_deref(), Some("259200"));
    let nonsense: [fn(&mut lapse_core::settings::Preferences); 3] = [
        |chosen| chosen.upload_limit = Some(1),
        |chosen| chosen.window.zoom = f64::NAN,
        |chosen| chosen.window.language = Some("<b>".to_owned()),
    ];
    for change in nonsense {
        let mut wrong = chosen.clone();
        change(&mut wrong);
        assert_eq!(core.set_preferences(&wrong).unwrap_err().code, Code::Usage);
    }
    assert_eq!(core.preferences().unwrap(), chosen);
    core.set_preferences(&first).unwrap();
    assert_eq!(core.preferences().unwrap(), first);
}
