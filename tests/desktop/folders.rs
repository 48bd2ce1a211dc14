//! Watched folders in the real window.

use std::time::Duration;

use lapse_tests::{Link, Window};

#[test]
fn a_screenshot_that_is_saved_into_a_watched_folder_has_its_link() {
    let mut window = Window::new();
    let shots = window.lapse.folder("files").join("Shots");
    std::fs::create_dir(&shots).unwrap();
    let shot = |n: u32| shots.join(format!("Screenshot {n}.png"));
    window.lapse.run(["watch", "add", "Shots", "--copy"]).success();
    window.press("Watch a folder…");
    window.wait_for("/Shots");
    window.wait_for("Watching");
    window.screenshot(&shot(1));
    let link = window.copied_link();
    let gives = |link: &Link, n: u32| {
        let content = std::fs::read(shot(n)).unwrap();
        link.get().assert_gives(&content, &format!("Screenshot {n}.png"));
    };
    gives(&link, 1);
    window.wait_for("1 file");
    window.click("[role=tab]:first-child");
    window.wait_for("Screenshot 1.png");
    // One that waits shares nothing, and then what came meanwhile.
    window.click("[role=tab]:last-child");
    window.click("[role=switch]");
    window.wait_for("Paused");
    std::thread::sleep(Duration::from_secs(6));
    window.screenshot(&shot(2));
    std::thread::sleep(Duration::from_secs(4));
    window.wait_for("1 file");
    window.click("[role=switch]");
    let links = window.copied_links(1, &[link]);
    gives(&links[0], 2);
    // What came while Lapse was closed is found when it starts.
    window.kill();
    std::fs::copy(shot(1), shots.join("meanwhile.png")).unwrap();
    window.start();
    window.wait_for("meanwhile.png");
    window.click("[role=tab]:last-child");
    window.press("Options");
    window.press("Stop watching…");
    window.press("Stop watching");
    window.wait_for("No folder is watched");
    let shared = window.lapse.run(["list", "--json"]).success().lines();
    assert_eq!(shared.len(), 3);
    assert!(shared.iter().all(|share| share["state"] == "active"), "{shared:?}");
    assert_eq!(std::fs::read_dir(&shots).unwrap().count(), 3);
}
