//! What the person likes: how long links live, how fast uploads go, and how the window behaves.

use std::fmt;
use std::str::FromStr;

use toml_edit::{Item, Table, TableLike, Value};

use super::{Settings, broken};
use crate::lapse::Lapse;
use crate::pace;
use crate::share::Expiry;
use crate::{Code, Error, Result};

/// What the person chose.
#[derive(Debug, Clone, PartialEq)]
pub struct Preferences {
    /// How long a link lives when nothing is said.
    pub expires: Expiry,
    /// Bytes a second that all uploads of a process may take together.
    pub upload_limit: Option<u64>,
    /// How the window behaves.
    pub window: Window,
}

/// How the window behaves. Core only keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Whether a new link goes to the clipboard.
    pub copy_links: bool,
    /// Whether links made while the window is hidden are told.
    pub notifications: bool,
    /// Whether closing the window keeps Lapse in the tray.
    pub close_to_tray: bool,
    /// Light or dark.
    pub theme: Theme,
    /// A language's tag (BCP 47); none: the system's.
    pub language: Option<String>,
    /// 1 is the page's own size.
    pub zoom: f64,
}

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// As the system is.
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl Theme {
    const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

impl fmt::Display for Theme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Theme {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|theme| theme.as_str() == text).ok_or_else(|| {
            Error::new(Code::Usage, "this is no theme", "Choose system, light or dark.")
        })
    }
}

impl Default for Window {
    fn default() -> Self {
        Self {
            copy_links: true,
            notifications: true,
            close_to_tray: true,
            theme: Theme::System,
            language: None,
            zoom: 1.0,
        }
    }
}

/// The word for «as the system has it».
const SYSTEM: &str = "system";
/// From half to triple size a page is readable.
const ZOOM: std::ops::RangeInclusive<f64> = 0.5..=3.0;
const COPY_LINKS: &str = "copy_links";
const NOTIFICATIONS: &str = "notifications";
const CLOSE_TO_TRAY: &str = "close_to_tray";
const THEME: &str = "theme";
const LANGUAGE: &str = "language";
const ZOOM_KEY: &str = "zoom";

fn is_language(tag: &str) -> bool {
    let plain = |step: &str| {
        (1..=8).contains(&step.len()) && step.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    tag.len() <= 35 && tag.split('-').all(plain)
}

fn zoom_of(item: &Item) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "what fits in the range is exact")]
    let zoom = item.as_float().or_else(|| item.as_integer().map(|whole| whole as f64))?;
    ZOOM.contains(&zoom).then_some(zoom)
}

fn limit_of(item: &Item) -> Option<u64> {
    let limit = u64::try_from(item.as_integer()?).ok()?;
    (limit >= pace::LEAST).then_some(limit)
}

/// What is wrong with a value of `[window]`, if anything.
fn wrong(key: &str, item: &Item) -> Option<&'static str> {
    let good = match key {
        COPY_LINKS | NOTIFICATIONS | CLOSE_TO_TRAY => item.is_bool(),
        THEME => item.as_str().is_some_and(|theme| theme.parse::<Theme>().is_ok()),
        LANGUAGE => item.as_str().is_some_and(is_language),
        ZOOM_KEY => zoom_of(item).is_some(),
        _ => return Some("is nothing of the window"),
    };
    let said = match key {
        THEME => "must be \"system\", \"light\" or \"dark\"",
        LANGUAGE => "must be a language's tag, like \"en\", or \"system\"",
        ZOOM_KEY => "must be a number from 0.5 to 3",
        _ => "must be true or false",
    };
    (!good).then_some(said)
}

impl Settings {
    pub(super) fn check_preferences(&self, text: &str) -> Result<()> {
        let tell = |start: usize, what: &str| Err(broken(&self.path, text, start, what));
        if let Some(item) = self.document.get("upload_limit")
            && limit_of(item).is_none()
        {
            let what = format!("upload_limit must be bytes a second, at least {}", pace::LEAST);
            return tell(text.find("upload_limit").unwrap_or(0), &what);
        }
        let Some(item) = self.document.get("window") else { return Ok(()) };
        let table = text.find("[window]").or_else(|| text.find("window")).unwrap_or(0);
        let Some(window) = item.as_table_like() else {
            return tell(table, "window must be a table");
        };
        for (key, item) in window.iter() {
            if let Some(wrong) = wrong(key, item) {
                let start = text[table..].find(key).map_or(table, |start| table + start);
                return tell(start, &format!("{} {wrong}", key.escape_debug()));
            }
        }
        Ok(())
    }

    /// How the window behaves.
    pub fn window(&self) -> Window {
        let window = self.document.get("window").and_then(Item::as_table_like);
        let item = |key: &str| window.and_then(|window| window.get(key));
        let yes = |key: &str, default| item(key).and_then(Item::as_bool).unwrap_or(default);
        let word = |key: &str| item(key).and_then(Item::as_str);
        let default = Window::default();
        Window {
            copy_links: yes(COPY_LINKS, default.copy_links),
            notifications: yes(NOTIFICATIONS, default.notifications),
            close_to_tray: yes(CLOSE_TO_TRAY, default.close_to_tray),
            theme: word(THEME).and_then(|theme| theme.parse().ok()).unwrap_or(default.theme),
            language: word(LANGUAGE).filter(|tag| *tag != SYSTEM).map(str::to_owned),
            zoom: item(ZOOM_KEY).and_then(zoom_of).unwrap_or(default.zoom),
        }
    }

    /// Bytes a second that uploads may take.
    pub fn upload_limit(&self) -> Option<u64> {
        self.document.get("upload_limit").and_then(limit_of)
    }

    fn preferences(&self) -> Result<Preferences> {
        Ok(Preferences {
            expires: self.default_expiry()?,
            upload_limit: self.upload_limit(),
            window: self.window(),
        })
    }

    /// Writes what differs: what the person never touched stays the default, whatever that will be.
    fn set_preferences(&mut self, new: &Preferences) -> Result<()> {
        let old = self.preferences()?;
        if new.expires != old.expires {
            set(self.document.as_table_mut(), "expires", new.expires.to_string());
        }
        match new.upload_limit {
            limit if limit == old.upload_limit => {}
            None => drop(self.document.remove("upload_limit")),
            Some(limit) => {
                let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                set(self.document.as_table_mut(), "upload_limit", limit);
            }
        }
        self.set_window(&old.window, &new.window);
        Ok(())
    }

    fn set_window(&mut self, old: &Window, new: &Window) {
        if new == old {
            return;
        }
        let window = self.document.entry("window").or_insert_with(|| Item::Table(Table::new()));
        let Some(window) = window.as_table_like_mut() else { return };
        for (key, was, is) in [
            (COPY_LINKS, old.copy_links, new.copy_links),
            (NOTIFICATIONS, old.notifications, new.notifications),
            (CLOSE_TO_TRAY, old.close_to_tray, new.close_to_tray),
        ] {
            if was != is {
                set(window, key, is);
            }
        }
        if new.theme != old.theme {
            set(window, THEME, new.theme.as_str());
        }
        if new.language != old.language {
            set(window, LANGUAGE, new.language.as_deref().unwrap_or(SYSTEM));
        }
        #[expect(clippy::float_cmp, reason = "one that wasn't touched is the same number")]
        if new.zoom != old.zoom {
            set(window, ZOOM_KEY, new.zoom);
        }
    }
}

/// Sets a value; the comments before and behind the old one stay.
fn set(table: &mut dyn TableLike, key: &str, new: impl Into<Value>) {
    let mut new = new.into();
    if let Some(old) = table.get_mut(key).and_then(Item::as_value_mut) {
        *new.decor_mut() = old.decor().clone();
        *old = new;
    } else {
        table.insert(key, Item::Value(new));
    }
}

impl Preferences {
    fn check(&self) -> Result<()> {
        let tell = |message: &str, hint: &str| Err(Error::new(Code::Usage, message, hint));
        if self.upload_limit.is_some_and(|limit| limit < pace::LEAST) {
            let hint = format!("Give at least {} KiB a second, or no limit.", pace::LEAST / 1024);
            return tell("this limit is too low for uploads to work", &hint);
        }
        if !self.window.language.as_deref().is_none_or(is_language) {
            return tell("this is no language's tag", "Use one like en or pt-BR.");
        }
        if !ZOOM.contains(&self.window.zoom) {
            return tell("this is no size for a page", "Choose from 50 % to 300 %.");
        }
        Ok(())
    }
}

impl Lapse {
    /// What the person chose.
    pub fn preferences(&self) -> Result<Preferences> {
        self.settings()?.preferences()
    }

    /// Keeps what the person chose, in config.toml. Uploads under way follow a new limit.
    pub fn set_preferences(&self, new: &Preferences) -> Result<()> {
        new.check()?;
        self.change_settings(|settings| settings.set_preferences(new))?;
        self.pacer.set_limit(new.upload_limit);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MINE: &str = "# mine\nexpires = \"6h\" # short\n\n[window] # how I like it\ntheme = \"dark\" # at night\nzoom = 2\n";

    #[test]
    fn what_was_not_touched_is_not_written_and_comments_survive() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config.toml");
        fs::write(&path, MINE).expect("written");
        let mut settings = Settings::read(&path).expect("a good file");
        let mut chosen = settings.preferences().expect("good");
        assert_eq!((chosen.window.theme, chosen.expires.to_string()), (Theme::Dark, "6h".into()));
        assert!((chosen.window.zoom - 2.0).abs() < 1e-9);
        settings.set_preferences(&chosen).expect("nothing to do");
        settings.write().expect("written");
        assert_eq!(fs::read_to_string(&path).expect("the file"), MINE);

        chosen.window.theme = Theme::Light;
        chosen.window.copy_links = false;
        chosen.window.language = Some("pt-BR".into());
        chosen.upload_limit = Some(1 << 20);
        chosen.expires = "7d".parse().expect("a week");
        settings.set_preferences(&chosen).expect("set");
        settings.write().expect("written");
        let text = fs::read_to_string(&path).expect("the file");
        for line in [
            "# mine\nexpires = \"7d\" # short",
            "[window] # how I like it\ntheme = \"light\" # at night\nzoom = 2\n",
            "copy_links = false",
            "language = \"pt-BR\"",
            "upload_limit = 1048576",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!text.contains("notifications"), "{text}");
        let again = Settings::read(&path).expect("still good").preferences().expect("good");
        assert_eq!(again, chosen);
    }

    #[test]
    fn wrong_values_are_told_with_line_and_column() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config.toml");
        for (text, place) in [
            ("upload_limit = 5\n", "line 1, column 1: upload_limit"),
            ("upload_limit = \"fast\"\n", "line 1, column 1"),
            ("window = 5\n", "line 1, column 1"),
            ("[window]\ntheme = \"pink\"\n", "line 2, column 1: theme"),
            ("[window]\n  zoom = 9\n", "line 2, column 3"),
            ("[window]\nlanguage = \"a b\"\n", "line 2, column 1"),
            ("[window]\ncopy_links = 1\n", "line 2, column 1: copy_links must be true or false"),
            ("# tray\n[window]\ntray = true\n", "line 3, column 1: tray is nothing"),
        ] {
            fs::write(&path, text).expect("written");
            let error = Settings::read(&path).expect_err(text);
            assert_eq!(error.code, Code::Config);
            assert!(error.message.contains(place), "{}", error.message);
        }
    }
}
