//! What other programs do while the window is open.

use lapse_tests::Window;
use serde_json::json;

#[test]
fn the_window_follows_the_command_line_and_the_file_of_settings() {
    let window = Window::new();
    window.wait_for("Drop a file.");
    let file = window.lapse.file("by command.txt", "hello");
    let share = window.lapse.share(&file, &["--expires", "3d"]);
    window.wait_for("by command.txt");
    window.wait_for("3 days left");
    window.lapse.run(["revoke", &share.id]).success();
    window.wait_for("Revoked");

    let config = window.lapse.home().join("config.toml");
    std::fs::write(&config, "expires = \"7d\"\n[window]\ntheme = \"dark\"\n").unwrap();
    window.waited("the theme that was written", || {
        let theme = window.script("return document.documentElement.dataset.theme");
        (theme == json!("dark")).then_some(())
    });
    window.drop_files(&[window.lapse.file("longer.txt", "longer")]);
    let link = window.copied_link();
    assert_eq!(link.parameter("X-Amz-Expires").as_deref(), Some("604800"));
    let lasts = "return document.querySelector(\"[aria-label='How long new links last']\").value";
    assert_eq!(window.script(lasts), json!("7d"));
}
