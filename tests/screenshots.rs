//! Takes the pictures of the README: the real window with real shares, in light and in dark.
//!
//!     screenshots FOLDER
#![expect(clippy::unwrap_used, reason = "a picture that can't be taken must stop it, loudly")]

use std::path::Path;
use std::time::Duration;

use lapse_tests::{Lapse, Server, Window, bytes};

fn main() {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "docs".to_owned());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).unwrap();
    for theme in ["light", "dark"] {
        take(theme, folder);
    }
}

fn take(theme: &str, folder: &Path) {
    let lapse = Lapse::with_keychain("present");
    let place = Server::SeaweedFs.place();
    lapse.add_profile("my-bucket", &place).success();
    let old = lapse.file("old figures.xlsx", bytes(66_310));
    let revoked = lapse.share(&old, &[]);
    lapse.run(["revoke", &revoked.id]).success();
    for (name, size, expires) in [
        ("minutes.txt", 1_204, "9m"),
        ("Contract draft.pdf", 812_044, "7d"),
        ("floor plan.svg", 48_112, "6h"),
    ] {
        lapse.share(&lapse.file(name, bytes(size)), &["--expires", expires]);
    }
    lapse.run(["check"]).success();
    // A line like many have at home, so that an upload is seen.
    let config = lapse.home().join("config.toml");
    let settings = std::fs::read_to_string(&config).unwrap();
    let chosen = format!("upload_limit = 2621440\n{settings}\n[window]\ntheme = \"{theme}\"\n");
    std::fs::write(&config, chosen).unwrap();

    let window = Window::of(lapse, &[] as &[&str]);
    window.wait_for("minutes.txt");
    window.drop_files(&[window.lapse.file("holiday.mp4", bytes(48_200_112))]);
    window.wait_for("Uploading");
    window.drop_files(&[window.lapse.file("Quarterly report.pdf", bytes(2_517_330))]);
    window.copied_link();
    window.wait_for("Link copied");
    window.wait_for("Uploading 2");
    still(&window);
    window.screenshot(&folder.join(format!("window-{theme}.png")));

    window.press("More actions for Quarterly report.pdf");
    window.press("Details");
    window.press("Check now");
    window.wait_for("the link works");
    window.wait_until_gone("Link copied");
    still(&window);
    window.screenshot(&folder.join(format!("link-{theme}.png")));
}

/// Waits until nothing is on its way from one look to another, the pointer's included.
fn still(window: &Window) {
    window.point_away();
    window.waited("nothing moves", || {
        let moving = "return document.getAnimations().filter((one) => \
                      one instanceof CSSTransition && one.playState === 'running').length";
        (window.script(moving) == 0).then_some(())
    });
    // The last picture of a transition is drawn after its end.
    std::thread::sleep(Duration::from_millis(200));
}
