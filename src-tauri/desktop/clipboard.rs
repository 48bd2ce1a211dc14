//! The clipboard: links go out, files and pictures come in.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use lapse_core::{Code, Error, Result};

/// On X11 what was copied lives as long as the one who copied it, so this is kept open.
#[derive(Default)]
pub(crate) struct Clipboard(Mutex<Option<arboard::Clipboard>>);

/// What was found on the clipboard.
pub(crate) enum Pasted {
    /// Files of this computer.
    Files(Vec<PathBuf>),
    /// A picture, as the bytes of a PNG file.
    Picture(Vec<u8>),
    /// Nothing that can be shared.
    Nothing,
}

impl Clipboard {
    /// Puts text there, marked so that histories of the clipboard leave it out.
    pub(crate) fn set(&self, text: &str) -> Result<()> {
        self.with(|clipboard| set(clipboard, text))
    }

    /// Whether this text is there: nobody has copied anything else since.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.with(arboard::Clipboard::get_text).is_ok_and(|found| found == text)
    }

    /// What is there to share.
    pub(crate) fn paste(&self) -> Result<Pasted> {
        let files = self.with(|clipboard| found(clipboard.get().file_list()))?;
        if let Some(files) = files.filter(|files| !files.is_empty()) {
            return Ok(Pasted::Files(files));
        }
        let image = self.with(|clipboard| found(clipboard.get_image()))?;
        image.map_or(Ok(Pasted::Nothing), |image| png(&image).map(Pasted::Picture))
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut arboard::Clipboard) -> std::result::Result<T, arboard::Error>,
    ) -> Result<T> {
        let refused = |error: arboard::Error| {
            let hint = "Try again. If it stays, another program holds it: close that one.";
            Error::new(Code::Clipboard, "the clipboard can't be used", hint).caused_by(error)
        };
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let clipboard = match &mut *held {
            Some(clipboard) => clipboard,
            none => none.insert(arboard::Clipboard::new().map_err(refused)?),
        };
        let done = work(clipboard);
        // A screen that went away doesn't come back on the same connection.
        if let Err(arboard::Error::Unknown { .. }) = done {
            *held = None;
        }
        done.map_err(refused)
    }
}

/// What was asked for, if it is there. Some programs answer with text whatever they are asked for, which is an unknown
/// error: they have nothing to share.
fn found<T>(
    answer: std::result::Result<T, arboard::Error>,
) -> std::result::Result<Option<T>, arboard::Error> {
    match answer {
        Err(
            arboard::Error::ContentNotAvailable
            | arboard::Error::ConversionFailure
            | arboard::Error::Unknown { .. },
        ) => Ok(None),
        answer => answer.map(Some),
    }
}

fn png(image: &arboard::ImageData<'_>) -> Result<Vec<u8>> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::new(
            Code::Clipboard,
            format!("the picture on the clipboard can't be read: {error}"),
            "Save it as a file and share that.",
        )
    };
    let side = |length: usize| u32::try_from(length).map_err(|error| failed(&error));
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, side(image.width)?, side(image.height)?);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    let written = encoder.write_header().and_then(|mut writer| {
        writer.write_image_data(&image.bytes)?;
        writer.finish()
    });
    written.map_err(|error| failed(&error))?;
    Ok(bytes)
}

#[cfg(target_os = "linux")]
fn set(clipboard: &mut arboard::Clipboard, text: &str) -> std::result::Result<(), arboard::Error> {
    use arboard::SetExtLinux as _;
    clipboard.set().exclude_from_history().text(text)
}

#[cfg(windows)]
fn set(clipboard: &mut arboard::Clipboard, text: &str) -> std::result::Result<(), arboard::Error> {
    use arboard::SetExtWindows as _;
    clipboard.set().exclude_from_cloud().exclude_from_history().text(text)
}

#[cfg(target_os = "macos")]
fn set(clipboard: &mut arboard::Clipboard, text: &str) -> std::result::Result<(), arboard::Error> {
    use arboard::SetExtApple as _;
    clipboard.set().exclude_from_history().text(text)
}
