//! What s3s passes over in XML without a word.
//!
//! s3s drops CDATA sections, text beside elements, and elements that a list doesn't know. Of a number it takes the digits
//! that it begins with. What is left may mean other objects: an empty prefix is that of the whole bucket.

use quick_xml::Reader;
use quick_xml::events::Event;

/// What the elements right in a document may be.
const LISTED: [&[u8]; 4] = [b"Object", b"Part", b"Quiet", b"Rule"];
/// Elements that hold elements, besides the outermost.
const HOLDERS: [&[u8]; 11] = [
    b"AbortIncompleteMultipartUpload",
    b"And",
    b"Expiration",
    b"Filter",
    b"NoncurrentVersionExpiration",
    b"NoncurrentVersionTransition",
    b"Object",
    b"Part",
    b"Rule",
    b"Tag",
    b"Transition",
];
const NUMBERS: [&[u8]; 6] = [
    b"Days",
    b"DaysAfterInitiation",
    b"ObjectSizeGreaterThan",
    b"ObjectSizeLessThan",
    b"PartNumber",
    b"Size",
];

/// Says what is wrong with XML that s3s would read as other than it is.
pub(super) fn check(xml: &[u8]) -> Result<(), &'static str> {
    let mut reader = Reader::from_reader(xml);
    let (mut open, mut text) = (Vec::<Vec<u8>>::new(), Vec::new());
    loop {
        match reader.read_event().map_err(|_| "The XML isn't well-formed.")? {
            Event::Start(start) => {
                check_name(start.name().as_ref(), open.len())?;
                open.push(start.name().as_ref().to_vec());
                text.clear();
            }
            Event::Empty(empty) => check_name(empty.name().as_ref(), open.len())?,
            Event::End(_) => {
                check_number(&open.pop().unwrap_or_default(), &text)?;
                text.clear();
            }
            Event::Text(piece) => {
                check_text(&piece, &open)?;
                text.extend_from_slice(&piece);
            }
            Event::GeneralRef(name) => {
                // s3s would take a sign in a character's number.
                if !name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'#') {
                    return Err("The XML has a malformed character reference.");
                }
                check_text(&name, &open)?;
                text.push(b'&');
            }
            Event::CData(_) => return Err("Write text as text: CDATA sections aren't taken."),
            Event::DocType(_) => return Err("Document types aren't taken."),
            Event::Decl(declared) => match declared.encoding() {
                Some(Ok(encoding)) if !encoding.eq_ignore_ascii_case(b"utf-8") => {
                    return Err("XML is taken in UTF-8.");
                }
                _ => {}
            },
            Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => return Ok(()),
        }
    }
}

fn check_name(name: &[u8], depth: usize) -> Result<(), &'static str> {
    if depth == 1 && !LISTED.contains(&name) {
        return Err("The XML has an element that isn't known.");
    }
    Ok(())
}

fn check_text(text: &[u8], open: &[Vec<u8>]) -> Result<(), &'static str> {
    let holds =
        open.len() < 2 || open.last().is_some_and(|name| HOLDERS.contains(&name.as_slice()));
    if holds && !text.trim_ascii().is_empty() {
        return Err("The XML has text where only elements belong.");
    }
    // In XML the end of a line is a line feed, whatever it was written as; s3s keeps it as it was written.
    if !holds && text.contains(&b'\r') {
        return Err("Write a carriage return as &#13;.");
    }
    Ok(())
}

fn check_number(name: &[u8], text: &[u8]) -> Result<(), &'static str> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if NUMBERS.contains(&name) && !digits.iter().all(u8::is_ascii_digit) {
        return Err("The XML has something else where a whole number belongs.");
    }
    Ok(())
}
