//! What a file is called: in the bucket, and on the disk of whoever downloads it.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::random_step;
use crate::{Code, Error, Result};

/// RFC 8187's attr-char.
const ATTR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// The most that common file systems take for one name.
const LONGEST_NAME: usize = 255;
/// Characters of a label.
const LONGEST_LABEL: usize = 100;
/// Enough to tell files apart in the bucket.
const LONGEST_IN_KEY: usize = 100;

/// `<prefix>/<128 random bits>/<name in safe ASCII>`: nothing collides, nothing can be guessed, one share
/// can be revoked alone.
pub(crate) fn object_key(prefix: &str, name: &str) -> String {
    let slash = if prefix.is_empty() { "" } else { "/" };
    format!("{prefix}{slash}{}/{}", random_step(), ascii_name(name))
}

/// The name in letters that no server, shell or URL stumbles over; the extension stays.
fn ascii_name(name: &str) -> String {
    let mut safe = String::new();
    for c in clean_name(name).chars() {
        match c {
            _ if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') => safe.push(c),
            _ if safe.ends_with('_') => {}
            _ => safe.push('_'),
        }
    }
    if safe.len() > LONGEST_IN_KEY {
        let extension = safe.rfind('.').map_or("", |dot| &safe[dot..]);
        let extension = if extension.len() <= 16 { extension.to_owned() } else { String::new() };
        safe.truncate(LONGEST_IN_KEY - extension.len());
        safe.push_str(&extension);
    }
    // Nothing but dots would be a path step.
    if safe.chars().all(|c| matches!(c, '.' | '_')) { "file".to_owned() } else { safe }
}

/// The true name without what could deceive or harm: no path, no control or direction characters, nothing
/// that Windows keeps for devices.
pub(crate) fn clean_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut clean: String = last.chars().filter(|c| !deceives(*c)).collect();
    clean = clean.replace(['<', '>', ':', '"', '|', '?', '*'], "_");
    let trimmed = clean.trim_end_matches(['.', ' ']).trim_start();
    let mut clean = if trimmed.is_empty() { "file".to_owned() } else { trimmed.to_owned() };
    let stem = clean.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    if is_device(&stem) {
        clean.insert(0, '_');
    }
    if clean.len() > LONGEST_NAME {
        // The middle goes: the beginning and the extension tell what it is.
        let head = clean.floor_char_boundary(LONGEST_NAME / 2);
        let tail = clean.ceil_char_boundary(clean.len() - (LONGEST_NAME - head));
        clean.replace_range(head..tail, "");
    }
    clean
}

/// What a person groups shares by, as it may be shown and typed again.
pub(crate) fn label(text: Option<&str>) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    let trimmed = text.trim();
    if trimmed.is_empty()
        || trimmed.chars().count() > LONGEST_LABEL
        || trimmed.chars().any(deceives)
    {
        return Err(Error::new(
            Code::Usage,
            format!("«{}» can't be a label", text.escape_debug()),
            "Use 1 to 100 characters on one line.",
        ));
    }
    Ok(Some(trimmed.to_owned()))
}

/// Controls, line ends, and the characters that turn the direction of text (exe.gpj shown as jpg.exe).
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

fn is_device(stem: &str) -> bool {
    matches!(stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || (stem.starts_with("COM") || stem.starts_with("LPT"))
            && matches!(
                &stem[3..],
                "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³"
            )
}

/// Content-Disposition by RFC 6266: the true name for browsers of today, and an ASCII one for the rest.
pub(crate) fn disposition(name: &str, inline: bool) -> String {
    let kind = if inline { "inline" } else { "attachment" };
    let name = clean_name(name);
    if name.is_ascii() {
        let plain =
            name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if plain {
            return format!("{kind}; filename=\"{name}\"");
        }
    }
    // No quote, backslash or percent sign in the plain form: readers disagree about escapes.
    let plain: String = name
        .chars()
        .map(|c| {
            if c == ' ' || (c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%' | ';')) {
                c
            } else {
                '_'
            }
        })
        .collect();
    format!(
        "{kind}; filename=\"{plain}\"; filename*=UTF-8''{}",
        percent_encode(name.as_bytes(), ATTR)
    )
}

/// What a browser may be told: never something that it would run on the bucket's origin.
///
/// Gives the type, and whether showing it in the browser is safe.
pub(crate) fn content_type(name: &str) -> (String, bool) {
    let Some(guess) = mime_guess::from_path(clean_name(name)).first() else {
        return (OPAQUE.to_owned(), false);
    };
    let essence = guess.essence_str();
    let runs = ["html", "xml", "svg", "javascript", "ecmascript", "xslt", "mathml", "flash"];
    if runs.iter().any(|part| essence.contains(part)) {
        return (OPAQUE.to_owned(), false);
    }
    match guess.type_().as_str() {
        "image" | "audio" | "video" => (essence.to_owned(), true),
        "text" if essence == "text/plain" => ("text/plain; charset=utf-8".to_owned(), true),
        // Other text (CSS, calendars…) is shown as text, never interpreted.
        "text" => (OPAQUE.to_owned(), false),
        _ => (essence.to_owned(), essence == "application/pdf"),
    }
}

const OPAQUE: &str = "application/octet-stream";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_deceive_or_harm_are_made_plain() {
        for (given, kept) in [
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\x\\a.txt", "a.txt"),
            ("photo\u{202e}gpj.exe", "photogpj.exe"),
            ("a\nb\r\0.txt", "ab.txt"),
            ("CON", "_CON"),
            ("com1.txt", "_com1.txt"),
            ("lpt10.txt", "lpt10.txt"),
            ("name. . ", "name"),
            ("..", "file"),
            ("", "file"),
            ("what?.txt", "what_.txt"),
            ("Prüfung 日本.pdf", "Prüfung 日本.pdf"),
        ] {
            assert_eq!(clean_name(given), kept, "{given:?}");
        }
    }

    #[test]
    fn disposition_carries_the_true_name() {
        assert_eq!(disposition("a.txt", false), "attachment; filename=\"a.txt\"");
        assert_eq!(
            disposition("Größe \"1\".pdf", false),
            "attachment; filename=\"Gr__e _1_.pdf\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20_1_.pdf"
        );
    }

    #[test]
    fn what_a_browser_runs_is_never_named_as_such() {
        for name in [
            "a.html", "a.htm", "a.xhtml", "a.svg", "a.SVG", "a.xml", "a.js", "a.mjs", "a.css",
            "a.swf", "a", "a.xsl",
        ] {
            assert_eq!(content_type(name), (OPAQUE.to_owned(), false), "{name}");
        }
        assert_eq!(content_type("a.png"), ("image/png".to_owned(), true));
        assert_eq!(content_type("a.pdf"), ("application/pdf".to_owned(), true));
        assert_eq!(content_type("a.txt"), ("text/plain; charset=utf-8".to_owned(), true));
        assert_eq!(content_type("a.zip"), ("application/zip".to_owned(), false));
    }

    proptest! {
        #[test]
        fn any_name_gives_a_header_and_a_key_that_are_safe(name in ".*", prefix in "[a-z0-9/]{0,20}") {
            let header = disposition(&name, false);
            prop_assert!(header.bytes().all(|b| (0x20..0x7f).contains(&b)), "{header}");
            prop_assert_eq!(header.matches('"').count(), 2);
            let key = object_key(prefix.trim_matches('/'), &name);
            let last = key.rsplit('/').next().expect("a name");
            prop_assert!(!last.is_empty() && last.len() <= 100 && last != "." && last != "..");
            prop_assert!(last.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)), "{key}");
            let clean = clean_name(&name);
            prop_assert!(!clean.is_empty() && clean.len() <= 255 && !clean.contains(['/', '\\']));
            prop_assert_eq!(clean_name(&clean), clean.clone());
        }

        #[test]
        fn no_two_keys_are_the_same(name in "[a-z]{1,8}") {
            prop_assert_ne!(object_key("p", &name), object_key("p", &name));
        }
    }
}
