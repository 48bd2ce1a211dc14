//! A real browser: a form that it sends, and pages that must not run in it.

use super::functions_of;

functions_of! {
    "with_browser.py":
    browser_sends_a_form_with_a_file,
    browser_shows_why_a_form_is_refused,
    page_from_the_store_never_runs,
}
