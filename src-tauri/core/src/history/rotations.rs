//! Plans to switch keys off, and what was revoked.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::Serialize;

use super::{History, insert_link, signed, time};
use crate::Result;
use crate::share::{Link, Move, Share, ShareId};
use crate::storage::Seen;

/// How far a plan is. About a key it is undone when it is cut off before [`Step::Signed`]; else it is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A new key may have been made.
    Planned,
    /// It was made, and is named in the row.
    Made,
    /// It signs: kept links are by it, and the others are marked as taken back.
    Signed,
    /// The old key is off.
    Off,
    /// All is done that the plan was for.
    Done,
    /// The new key is still to be deleted.
    Undoing,
    /// Nothing changed.
    Undone,
    /// The old key is to be switched on again: its links are open, or will be.
    Restoring,
    /// The old key was switched on again.
    Restored,
}

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Made => "made",
            Self::Signed => "signed",
            Self::Off => "off",
            Self::Done => "done",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::Restoring => "restoring",
            Self::Restored => "restored",
        }
    }

    fn of(text: &str) -> Option<Self> {
        let all = [Self::Planned, Self::Made, Self::Signed, Self::Off, Self::Done, Self::Undoing];
        let all = all.into_iter().chain([Self::Undone, Self::Restoring, Self::Restored]);
        all.into_iter().find(|step| step.as_str() == text)
    }
}

/// A plan to switch a key off.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    pub(crate) id: i64,
    pub(crate) profile: String,
    pub(crate) old_key: String,
    pub(crate) new_key: Option<String>,
    pub(crate) step: Step,
    /// The access keys that the user had when it began.
    pub(crate) before: Vec<String>,
    /// The shares whose links are signed again.
    pub(crate) keep: Vec<ShareId>,
    /// Whether Lapse made the old key, so that it is deleted in the end.
    pub(crate) is_own: bool,
    /// Whether a person makes the new key and switches the old one off.
    pub(crate) by_hand: bool,
    pub(crate) began_at: Timestamp,
}

/// The name of a role, of what its sessions are called where an access key would stand:
/// `arn:aws:sts::ACCOUNT:assumed-role/NAME`.
pub(crate) fn role_of_sessions(sessions: &str) -> Option<&str> {
    sessions.split_once(":assumed-role/").map(|(_, role)| role)
}

impl Rotation {
    /// The role whose sessions of before the plan's time are ended, where it is about that and not about a key.
    pub(crate) fn role(&self) -> Option<&str> {
        role_of_sessions(&self.old_key)
    }

    /// Whether what the plan ends signed a link.
    pub(crate) fn signed(&self, link: &Link) -> bool {
        match self.role() {
            Some(_) => link.role.as_ref() == Some(&self.old_key),
            None => link.facts.access_key == self.old_key,
        }
    }

    /// How far it is once what is new signs: sessions are ended by then.
    pub(crate) fn switched(&self) -> Step {
        if self.role().is_some() { Step::Off } else { Step::Signed }
    }
}

/// What was taken back, for good to read.
#[derive(Debug, Clone, Serialize)]
pub struct Revocation {
    /// When.
    pub at: Timestamp,
    /// How: `deleted`, `moved`, `key_rotated`, `key_restored`, `sessions_ended`.
    pub how: String,
    /// The profile.
    pub profile: String,
    /// The share; none for a rotation, which is about many.
    pub share: Option<String>,
    /// The file's name.
    pub name: Option<String>,
    /// What the person groups it by.
    pub label: Option<String>,
    /// The access key that was switched off; where the sessions of a role were ended `arn:aws:sts::ACCOUNT:assumed-role/NAME`.
    pub old_key: Option<String>,
    /// The access key that signs since.
    pub new_key: Option<String>,
    /// Links that the storage was asked about.
    pub checked: u64,
    /// Those that it surely refused.
    pub refused: u64,
    /// Shares that got new links.
    pub kept: u64,
}

impl History {
    /// Writes a plan down before anything is done. Gives its number.
    pub(crate) fn plan(&self, plan: &Rotation) -> Result<i64> {
        let connection = self.connection();
        let keep: Vec<&str> = plan.keep.iter().map(ShareId::as_str).collect();
        let inserted = connection.execute(
            "INSERT INTO rotations (profile, old_key, new_key, step, before, keep, is_own, by_hand, began_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                plan.profile,
                plan.old_key,
                plan.new_key,
                plan.step.as_str(),
                json(&plan.before),
                json(&keep),
                plan.is_own,
                plan.by_hand,
                plan.began_at.as_second(),
            ],
        );
        inserted.map_err(|error| self.failed(error))?;
        Ok(connection.last_insert_rowid())
    }

    pub(crate) fn set_new_key(&self, plan: i64, new_key: &str) -> Result<()> {
        self.change(
            "UPDATE rotations SET new_key = ?2, step = ?3 WHERE id = ?1",
            params![plan, new_key, Step::Made.as_str()],
        )
    }

    pub(crate) fn set_step(&self, plan: i64, step: Step) -> Result<()> {
        let ended = matches!(step, Step::Done | Step::Undone | Step::Restored)
            .then(|| Timestamp::now().as_second());
        self.change(
            "UPDATE rotations SET step = ?2, ended_at = ?3 WHERE id = ?1",
            params![plan, step.as_str(), ended],
        )
    }

    /// From here on what is new signs: kept shares get their links by it, and all that the plan ends are marked as taken
    /// back; by a key those too that were signed since the plan was made. One transaction.
    pub(crate) async fn switch(
        &self,
        plan: &Rotation,
        links: Vec<(ShareId, Link)>,
        at: Timestamp,
    ) -> Result<()> {
        let (id, step) = (plan.id, plan.switched());
        let sessions = plan.role().map(|_| plan.began_at);
        let old_key = plan.old_key.clone();
        self.write(move |connection| {
            for (share, link) in &links {
                insert_link(connection, share, link)?;
            }
            let ended = "UPDATE links SET revoked_at = ?1 WHERE revoked_at IS NULL AND signed_at + seconds > ?1";
            let at = at.as_second();
            match &sessions {
                None => connection.execute(
                    &format!("{ended} AND access_key = ?2"),
                    params![at, old_key],
                )?,
                Some(issued) => connection.execute(
                    &format!("{ended} AND role = ?2 AND signed_at < ?3"),
                    params![at, old_key, issued.as_second()],
                )?,
            };
            let values = params![id, step.as_str()];
            connection.execute("UPDATE rotations SET step = ?2 WHERE id = ?1", values)?;
            Ok(())
        })
        .await
    }

    /// When the sessions of a role were ended last, and whether that is still being done.
    pub(crate) fn sessions_ended(&self, role: &str) -> Result<Option<(Timestamp, bool)>> {
        let sql = "SELECT began_at, step IN ('planned', 'made') FROM rotations
             WHERE old_key = ?1 AND step != 'undone' ORDER BY id DESC LIMIT 1";
        self.connection()
            .prepare_cached(sql)
            .and_then(|mut select| {
                select.query_row([role], |row| Ok((time(row.get(0)?), row.get(1)?))).optional()
            })
            .map_err(|error| self.failed(error))
    }

    /// The shares with a link that a plan ends and whose time isn't over, also those that were taken back.
    pub(crate) fn shares_of_plan(&self, plan: &Rotation, now: Timestamp) -> Result<Vec<Share>> {
        match plan.role() {
            Some(_) => self.shares_of_role(&plan.old_key, now),
            None => self.shares_of_key(&plan.old_key, now),
        }
    }

    /// The shares with a link by a role's session whose time isn't over, also those that were taken back.
    pub(crate) fn shares_of_role(&self, role: &str, now: Timestamp) -> Result<Vec<Share>> {
        self.select(
            "WHERE s.revoked_at IS NULL AND s.id IN
                (SELECT share FROM links WHERE role = ?1 AND signed_at + seconds > ?2)
             ORDER BY s.created_at DESC",
            params![role, now.as_second()],
        )
    }

    /// Links of a profile that live, by temporary keys of which it isn't known whose sessions they are of.
    pub(crate) fn links_of_nobody(&self, profile: &str, now: Timestamp) -> Result<usize> {
        let sql = "SELECT count(*) FROM links JOIN shares s ON s.id = share
             WHERE s.profile = ?1 AND s.revoked_at IS NULL AND temporary AND role IS NULL
             AND links.revoked_at IS NULL AND signed_at + seconds > ?2";
        let count = self.connection().prepare_cached(sql).and_then(|mut select| {
            select.query_row(params![profile, now.as_second()], |row| row.get::<_, i64>(0))
        });
        count.map(|count| usize::try_from(count).unwrap_or(0)).map_err(|error| self.failed(error))
    }

    /// Whether a new key is being made to sign instead of one.
    pub(crate) fn is_being_replaced(&self, access_key: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM rotations WHERE old_key = ?1 AND step IN ('planned', 'made')";
        self.connection()
            .prepare_cached(sql)
            .and_then(|mut select| select.exists([access_key]))
            .map_err(|error| self.failed(error))
    }

    /// The plans that aren't over, the oldest first.
    pub(crate) fn open_rotations(&self) -> Result<Vec<Rotation>> {
        self.rotations("WHERE ended_at IS NULL ORDER BY id", [])
    }

    /// The last plan of a profile by which a key was switched off, where that holds.
    pub(crate) fn last_rotation(&self, profile: &str) -> Result<Option<Rotation>> {
        let sql =
            "WHERE profile = ?1 AND old_key NOT LIKE '%:assumed-role/%' AND step IN ('off', 'done')
             ORDER BY id DESC LIMIT 1";
        Ok(self.rotations(sql, params![profile])?.pop())
    }

    /// The key that signs instead of one, where that was switched off.
    pub(crate) fn key_now(&self, access_key: &str) -> Result<String> {
        let connection = self.connection();
        key_now(&connection, access_key).map_err(|error| self.failed(error))
    }

    fn rotations(&self, tail: &str, values: impl rusqlite::Params) -> Result<Vec<Rotation>> {
        let connection = self.connection();
        let read = || -> rusqlite::Result<Vec<_>> {
            let sql = format!("SELECT * FROM rotations {tail}");
            connection.prepare_cached(&sql)?.query_map(values, rotation_of)?.collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// The shares with a link by an access key whose time isn't over, also those that were taken back.
    pub(crate) fn shares_of_key(&self, access_key: &str, now: Timestamp) -> Result<Vec<Share>> {
        self.select(
            "WHERE s.revoked_at IS NULL AND s.id IN
                (SELECT share FROM links WHERE access_key = ?1 AND signed_at + seconds > ?2)
             ORDER BY s.created_at DESC",
            params![access_key, now.as_second()],
        )
    }

    /// A key was deleted here: links by it are over. Gives how many.
    pub(crate) async fn end_key(&self, access_key: &str, at: Timestamp) -> Result<usize> {
        let access_key = access_key.to_owned();
        self.write(move |connection| {
            connection.execute(
                "UPDATE links SET revoked_at = ?2, checked_at = NULL, seen = NULL
                 WHERE access_key = ?1 AND revoked_at IS NULL AND signed_at + seconds > ?2",
                params![access_key, at.as_second()],
            )
        })
        .await
    }

    /// The shares that came from a watched folder.
    pub(crate) fn shares_of_folder(&self, folder: &str) -> Result<Vec<Share>> {
        self.select("WHERE s.folder = ?1 ORDER BY s.created_at DESC", params![folder])
    }

    /// The shares of a label.
    pub(crate) fn labeled(&self, label: &str) -> Result<Vec<Share>> {
        self.select("WHERE s.label = ?1 ORDER BY s.created_at DESC", params![label])
    }

    /// Keeps what was seen of many links.
    pub(crate) async fn set_all_seen(&self, seen: Vec<(i64, Timestamp, Seen)>) -> Result<()> {
        self.write(move |connection| {
            let sql = "UPDATE links SET checked_at = ?2, seen = ?3 WHERE id = ?1";
            let mut update = connection.prepare_cached(sql)?;
            for (link, at, seen) in seen {
                update.execute(params![link, at.as_second(), seen.as_str()])?;
            }
            Ok(())
        })
        .await
    }

    /// These links are about to open again. One transaction.
    pub(crate) async fn begin_restore(&self, plan: i64, links: Vec<i64>) -> Result<()> {
        self.write(move |connection| {
            let sql =
                "UPDATE links SET revoked_at = NULL, checked_at = NULL, seen = NULL WHERE id = ?1";
            let mut update = connection.prepare_cached(sql)?;
            for link in links {
                update.execute([link])?;
            }
            connection.execute(
                "UPDATE rotations SET step = ?2, ended_at = NULL WHERE id = ?1",
                params![plan, Step::Restoring.as_str()],
            )?;
            Ok(())
        })
        .await
    }

    /// A plan is over, and what it came to is kept. One transaction.
    pub(crate) async fn end(&self, plan: i64, step: Step, done: Revocation) -> Result<()> {
        self.write(move |connection| {
            connection.execute(
                "UPDATE rotations SET step = ?2, ended_at = ?3 WHERE id = ?1",
                params![plan, step.as_str(), Timestamp::now().as_second()],
            )?;
            insert_revocation(connection, &done)
        })
        .await
    }

    /// Old keys of a profile that nothing needs any more: each is off for good and no link by it lives.
    pub(crate) fn over_keys(
        &self,
        profile: &str,
        now: Timestamp,
        since: Timestamp,
    ) -> Result<Vec<(i64, String)>> {
        let sql = "SELECT id, old_key FROM rotations r WHERE profile = ?1 AND step = 'done' AND NOT is_forgotten
             AND old_key NOT LIKE '%:assumed-role/%' AND (is_own OR ended_at < ?3)
             AND NOT EXISTS (SELECT 1 FROM links WHERE access_key = old_key AND signed_at + seconds > ?2)";
        let connection = self.connection();
        let read = || -> rusqlite::Result<Vec<_>> {
            let values = params![profile, now.as_second(), since.as_second()];
            let row = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            connection.prepare_cached(sql)?.query_map(values, row)?.collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// The secret of a plan's old key isn't kept any more.
    pub(crate) fn set_forgotten(&self, plan: i64) -> Result<()> {
        self.change("UPDATE rotations SET is_forgotten = TRUE WHERE id = ?1", params![plan])
    }

    /// Writes down where an object is to be moved.
    pub(crate) fn begin_move(&self, id: &ShareId, new: &str) -> Result<()> {
        self.change(
            "INSERT INTO moves (share, key, is_copied) VALUES (?1, ?2, FALSE)",
            params![id.as_str(), new],
        )
    }

    /// The object is at its new key too: from now on it is the share's, and every link leads to the old one.
    pub(crate) async fn moved(
        &self,
        share: &Share,
        new: &str,
        etag: &str,
        at: Timestamp,
    ) -> Result<()> {
        let (id, old) = (share.id.clone(), share.key.clone());
        let (new, etag) = (new.to_owned(), etag.to_owned());
        self.write(move |connection| {
            let id = id.as_str();
            connection.execute(
                "UPDATE shares SET key = ?2, etag = ?3 WHERE id = ?1",
                params![id, new, etag],
            )?;
            connection.execute(
                "UPDATE links SET revoked_at = ?2 WHERE share = ?1 AND revoked_at IS NULL",
                params![id, at.as_second()],
            )?;
            connection.execute(
                "UPDATE moves SET key = ?2, is_copied = TRUE WHERE share = ?1",
                params![id, old],
            )?;
            Ok(())
        })
        .await
    }

    /// A share's object is about to be deleted: it is taken back from now on. One transaction.
    pub(crate) async fn begin_delete(&self, share: &Share, at: Timestamp) -> Result<()> {
        let (id, key) = (share.id.clone(), share.key.clone());
        self.write(move |connection| {
            let id = id.as_str();
            // One that was to be moved isn't any more.
            connection
                .prepare_cached(
                    "INSERT INTO moves (share, key, is_copied) VALUES (?1, ?2, TRUE)
                     ON CONFLICT DO UPDATE SET key = ?2, is_copied = TRUE",
                )?
                .execute(params![id, key])?;
            set_revoked(connection, id, Some(at))
        })
        .await
    }

    /// It is deleted, or surely isn't: then the share is as it was before.
    pub(crate) async fn end_delete(
        &self,
        id: &ShareId,
        revoked_at: Option<Timestamp>,
    ) -> Result<()> {
        let id = id.clone();
        self.write(move |connection| {
            let id = id.as_str();
            connection.prepare_cached("DELETE FROM moves WHERE share = ?1")?.execute([id])?;
            set_revoked(connection, id, revoked_at)
        })
        .await
    }

    pub(crate) fn end_move(&self, id: &ShareId) -> Result<()> {
        self.change("DELETE FROM moves WHERE share = ?1", [id.as_str()])
    }

    /// Where a share's object is being moved.
    pub(crate) fn moving(&self, id: &ShareId) -> Result<Option<Move>> {
        Ok(self.moves()?.into_iter().find(|one| one.share == *id))
    }

    /// Every object that is on its way to another key.
    pub(crate) fn moves(&self) -> Result<Vec<Move>> {
        let connection = self.connection();
        let read = || -> rusqlite::Result<Vec<_>> {
            let mut select =
                connection.prepare_cached("SELECT share, key, is_copied FROM moves")?;
            let rows = select.query_map([], |row| {
                let share: String = row.get(0)?;
                let share = share.parse().map_err(|_| rusqlite::Error::InvalidQuery)?;
                Ok(Move { share, key: row.get(1)?, is_copied: row.get(2)? })
            })?;
            rows.collect()
        };
        read().map_err(|error| self.failed(error))
    }

    pub(crate) async fn note(&self, done: Revocation) -> Result<()> {
        self.write(move |connection| insert_revocation(connection, &done)).await
    }

    /// What was revoked, the oldest first.
    pub(crate) fn revocations(&self) -> Result<Vec<Revocation>> {
        let connection = self.connection();
        let read = || -> rusqlite::Result<Vec<_>> {
            let mut select = connection.prepare("SELECT * FROM revocations ORDER BY id")?;
            let rows = select.query_map([], |row| {
                Ok(Revocation {
                    at: time(row.get("at")?),
                    how: row.get("how")?,
                    profile: row.get("profile")?,
                    share: row.get("share")?,
                    name: row.get("name")?,
                    label: row.get("label")?,
                    old_key: row.get("old_key")?,
                    new_key: row.get("new_key")?,
                    checked: row.get::<_, i64>("checked")?.unsigned_abs(),
                    refused: row.get::<_, i64>("refused")?.unsigned_abs(),
                    kept: row.get::<_, i64>("kept")?.unsigned_abs(),
                })
            })?;
            rows.collect()
        };
        read().map_err(|error| self.failed(error))
    }
}

fn set_revoked(connection: &Connection, id: &str, at: Option<Timestamp>) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE shares SET revoked_at = ?2 WHERE id = ?1")?
        .execute(params![id, at.map(Timestamp::as_second)])
        .map(drop)
}

fn insert_revocation(connection: &Connection, done: &Revocation) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO revocations
                (at, how, profile, share, name, label, old_key, new_key, checked, refused, kept)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            done.at.as_second(),
            done.how,
            done.profile,
            done.share,
            done.name,
            done.label,
            done.old_key,
            done.new_key,
            signed(done.checked),
            signed(done.refused),
            signed(done.kept),
        ])
        .map(drop)
}

/// Whether the key of a link wasn't replaced.
pub(super) fn signs(connection: &Connection, link: &Link) -> rusqlite::Result<bool> {
    Ok(key_now(connection, &link.facts.access_key)? == link.facts.access_key)
}

fn key_now(connection: &Connection, access_key: &str) -> rusqlite::Result<String> {
    let (mut now, mut plan) = (access_key.to_owned(), 0_i64);
    let mut select = connection.prepare_cached(
        "SELECT id, new_key FROM rotations WHERE old_key = ?1 AND id > ?2 AND new_key IS NOT NULL
         AND step IN ('signed', 'off', 'done') ORDER BY id DESC LIMIT 1",
    )?;
    // As often as it was rotated. By hand a key may come back: only later plans count.
    let next = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    while let Some(then) = select.query_row(params![now, plan], next).optional()? {
        (plan, now) = then;
    }
    Ok(now)
}

fn rotation_of(row: &Row<'_>) -> rusqlite::Result<Rotation> {
    let text = |column: &str| row.get::<_, String>(column);
    let list = |text: String| serde_json::from_str::<Vec<String>>(&text).unwrap_or_default();
    Ok(Rotation {
        id: row.get("id")?,
        profile: text("profile")?,
        old_key: text("old_key")?,
        new_key: row.get("new_key")?,
        step: Step::of(&text("step")?).ok_or(rusqlite::Error::InvalidQuery)?,
        before: list(text("before")?),
        keep: list(text("keep")?).iter().filter_map(|id| id.parse().ok()).collect(),
        is_own: row.get("is_own")?,
        by_hand: row.get("by_hand")?,
        began_at: time(row.get("began_at")?),
    })
}

fn json(list: &[impl Serialize]) -> String {
    serde_json::to_string(list).unwrap_or_default()
}
