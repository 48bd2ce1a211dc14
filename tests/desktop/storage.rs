//! A storage, set up by its form.

use lapse_tests::leaks::{contains, files, forms};
use lapse_tests::{Server, Window};
use serde_json::json;

/// Goes from the first screen to the form of a provider.
pub(super) fn open_form(window: &Window, provider: &str) {
    window.press("Change storage");
    window.press("Add storage…");
    window.wait_for("Step 1 of 3");
    // Its menu went with the screen.
    assert!(!window.says("Manage storage…"), "{}", window.text());
    window.press(provider);
    window.press("Continue");
    window.wait_for("Step 2 of 3");
}

#[test]
fn a_storage_is_set_up_by_its_form_with_its_secret_in_the_keychain_alone() {
    let window = Window::new();
    let place = Server::SeaweedFs.place();
    let (endpoint, key, secret) =
        (&place.user.endpoint, &place.user.access_key, &place.user.secret_key);

    open_form(&window, "SeaweedFS");
    window.press("Check connection");
    window.wait_for("Enter the storage’s address");
    assert_eq!(window.focused(), "Endpoint");
    window.fill("Endpoint", endpoint);
    window.fill("Bucket", &place.bucket);
    window.fill("Access key", key);
    window.fill("Secret", "not-the-secret");
    window.press("Check connection");
    window.wait_for("Copy key and secret once more");
    assert_eq!(window.focused(), "Secret");
    // Nothing is set up yet, and what was typed is there.
    assert_eq!(window.lapse.run(["profile", "list", "--json"]).success().lines().len(), 1);
    window.fill("Secret", secret);
    window.keys(&["Return"]);

    // What is found is shown while the rest is tried.
    window.wait_for("Step 3 of 3");
    window.waited("a line of the check before its end", || {
        let script = "return [document.querySelectorAll('.cap--pass').length, \
                      document.querySelectorAll('.cap--now').length]";
        let lines = window.script(script);
        (lines[0].as_u64() > Some(0) && lines[1] == json!(1)).then_some(())
    });
    window.wait_for("is ready to use.");
    for line in ["Expiry enforced", "Private without a link", "Large files"] {
        assert!(window.says(line), "{}", window.text());
    }
    window.press("Use this storage");
    window.wait_for("Drop a file.");
    window.wait_for(&place.bucket);

    let content = b"to my own bucket";
    window.drop_files(&[window.lapse.file("note.txt", content)]);
    let link = window.copied_link();
    assert!(link.0.starts_with(endpoint.as_str()), "it went to another storage");
    link.get().assert_gives(content, "note.txt");
    assert_eq!(place.root.keys(&place.bucket).len(), 1);

    assert_eq!(window.lapse.secrets_in_keychain(secret), 1);
    let signature = link.signature();
    let looked = window.lapse.home().ancestors().nth(1).unwrap().to_owned();
    let found = files(&looked);
    assert!(found.iter().any(|file| file.ends_with("lapse.db")), "{found:?}");
    for file in found {
        let content = std::fs::read(&file).unwrap_or_default();
        for form in forms(secret).iter().chain(&forms(&signature)) {
            assert!(!contains(&content, form), "a secret is in {}", file.display());
        }
    }
}
