//! What is known of the files in watched folders. Those that wait are the queue.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{History, Shared, signed, time, unsigned};
use crate::Result;
use crate::share::{Fingerprint, Share, ShareId};

/// Where a watched file is: its folder, the folder below that, and its own name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) folder: i64,
    /// Empty for the watched folder itself.
    pub(crate) dir: Vec<u8>,
    pub(crate) name: Vec<u8>,
}

/// The folder of files that aren't where they were: another file has their place. No folder below begins so.
const ASIDE: &[u8] = b"/";

impl Place {
    /// Whether nothing is at it.
    pub(crate) fn is_nowhere(&self) -> bool {
        self.dir == ASIDE
    }
}

/// What became of a watched file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was there before, and is left alone until it changes.
    Left = 0,
    /// It waits to be shared as it is now.
    Waits = 1,
    /// It was shared as it is now.
    Shared = 2,
}

impl Fate {
    fn of(number: i64) -> Self {
        match number {
            0 => Self::Left,
            2 => Self::Shared,
            _ => Self::Waits,
        }
    }
}

/// A watched file as it was seen last.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) fate: Fate,
    /// When it was seen so first, in ms of this run.
    pub(crate) looked: i64,
    pub(crate) is_gone: bool,
    pub(crate) has_error: bool,
}

/// What a look at a file is to change.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// It is new, or not as it was.
    Seen { place: Place, fingerprint: Fingerprint, fate: Fate, looked: i64 },
    /// The same file has another name now; where the one of before isn't known any more, it is new.
    Renamed { from: Place, to: Place, fingerprint: Fingerprint, fate: Fate, looked: i64 },
    /// It isn't there any more.
    Gone { place: Place, at: Timestamp },
    /// It is there again, as it was.
    Back { place: Place },
    /// It may be shared once this time of the run is over.
    Due { place: Place, looked: i64 },
}

/// A file that waits.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) place: Place,
    pub(crate) fingerprint: Fingerprint,
    /// Made of it, or of what it was before.
    pub(crate) share: Option<ShareId>,
    /// The share that is being replaced.
    pub(crate) before: Option<ShareId>,
    pub(crate) tries: u32,
}

/// How many files of a folder there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) shared: u64,
    pub(crate) waiting: u64,
    pub(crate) failed: u64,
    pub(crate) last_at: Option<Timestamp>,
}

/// Which folder it is, as it was seen last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) inode: u64,
    /// Nanoseconds since 1970, where the file system tells.
    pub(crate) born: Option<i64>,
    /// The UUID of the file system, where the system tells.
    pub(crate) volume: Option<String>,
}

/// The rows, for whoever looks at files on a thread of its own.
#[derive(Debug, Clone)]
pub(crate) struct WatchedRows(Arc<Shared>);

impl History {
    pub(crate) fn watched(&self) -> WatchedRows {
        WatchedRows(Arc::clone(&self.shared))
    }
}

impl History {
    /// A file was shared as `fingerprint` says; `error` is what went wrong after that. Where it was seen to change
    /// meanwhile it waits again.
    pub(crate) async fn set_shared(
        &self,
        place: &Place,
        fingerprint: Fingerprint,
        share: &ShareId,
        error: Option<String>,
    ) -> Result<()> {
        // Another file may have its place by now.
        let sql = "UPDATE watched SET share = ?7, shared_at = unixepoch(), tries = 0, retry_at = NULL, error = ?8,
                       state = CASE WHEN size = ?4 AND modified = ?5 AND inode = ?6 THEN 2 ELSE 1 END,
                       before = CASE WHEN size = ?4 AND modified = ?5 AND inode = ?6 THEN NULL ELSE ?7 END
                   WHERE folder = ?1 AND dir = ?2 AND name = ?3 AND inode = ?6";
        let (place, share) = (place.clone(), share.clone());
        self.write(move |connection| {
            connection
                .prepare_cached(sql)?
                .execute(params![
                    place.folder,
                    place.dir,
                    place.name,
                    signed(fingerprint.size),
                    fingerprint.modified,
                    fingerprint.inode.cast_signed(),
                    share.as_str(),
                    error
                ])
                .map(drop)
        })
        .await
    }

    /// A file couldn't be shared, and is tried again later.
    pub(crate) async fn set_not_shared(
        &self,
        one: &Waiting,
        error: &str,
        retry_at: Timestamp,
    ) -> Result<()> {
        // Another file may have its place by now.
        let sql = "UPDATE watched SET error = ?4, retry_at = ?5, tries = tries + 1
                   WHERE folder = ?1 AND dir = ?2 AND name = ?3 AND inode = ?6 AND state = 1";
        let (place, inode) = (one.place.clone(), one.fingerprint.inode.cast_signed());
        let (error, at) = (error.to_owned(), retry_at.as_second());
        self.write(move |connection| {
            let values = params![place.folder, place.dir, place.name, error, at, inode];
            connection.prepare_cached(sql)?.execute(values).map(drop)
        })
        .await
    }
}

impl WatchedRows {
    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        read(&self.0.connection()).map_err(|error| self.0.failed(error))
    }

    /// One transaction.
    fn change<T>(&self, change: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        let mut connection = self.0.connection();
        let change = || {
            let transaction = connection.transaction()?;
            let changed = change(&transaction)?;
            transaction.commit()?;
            Ok(changed)
        };
        change().map_err(|error| self.0.failed(error))
    }

    /// The number of a folder, which it gets when it is first named.
    pub(crate) fn folder(&self, path: &str) -> Result<i64> {
        let known = |connection: &Connection| {
            let mut select = connection.prepare_cached("SELECT id FROM folders WHERE path = ?1")?;
            select.query_row([path], |row| row.get(0)).optional()
        };
        if let Some(number) = self.read(known)? {
            return Ok(number);
        }
        self.change(|connection| {
            connection
                .execute("INSERT INTO folders (path) VALUES (?1) ON CONFLICT DO NOTHING", [path])?;
            known(connection)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
        })
    }

    /// Forgets a folder and what was seen in it.
    pub(crate) fn forget_folder(&self, path: &str) -> Result<()> {
        self.change(|connection| {
            connection.execute("DELETE FROM folders WHERE path = ?1", [path]).map(drop)
        })
    }

    /// The folder is at another place now; what was seen in it is known still.
    pub(crate) fn move_folder(&self, from: &str, to: &str) -> Result<()> {
        self.change(|connection| {
            // Left of one that was watched there once.
            connection.execute("DELETE FROM folders WHERE path = ?2 AND path != ?1", [from, to])?;
            connection.execute("UPDATE shares SET folder = ?2 WHERE folder = ?1", [from, to])?;
            connection.execute("UPDATE folders SET path = ?2 WHERE path = ?1", [from, to]).map(drop)
        })
    }

    /// What is known of a folder is what was seen in another one from now on.
    pub(crate) fn replace_folder(&self, path: &str, by: &str) -> Result<()> {
        self.change(|connection| {
            connection.execute("DELETE FROM folders WHERE path = ?1", [path])?;
            connection.execute("UPDATE folders SET path = ?1 WHERE path = ?2", [path, by]).map(drop)
        })
    }

    pub(crate) fn identity(&self, folder: i64) -> Result<Option<Identity>> {
        self.read(|connection| {
            connection
                .query_row(
                    "SELECT inode, born, volume FROM folders WHERE id = ?1 AND inode IS NOT NULL",
                    [folder],
                    |row| {
                        Ok(Identity {
                            inode: row.get::<_, i64>(0)?.cast_unsigned(),
                            born: row.get(1)?,
                            volume: row.get(2)?,
                        })
                    },
                )
                .optional()
        })
    }

    /// Also what is known of a folder that another one stands for now, where none is given.
    pub(crate) fn set_identity(&self, folder: i64, identity: Option<&Identity>) -> Result<()> {
        self.change(|connection| {
            connection
                .execute(
                    "UPDATE folders SET inode = ?2, born = ?3, volume = ?4 WHERE id = ?1",
                    params![
                        folder,
                        identity.map(|identity| identity.inode.cast_signed()),
                        identity.and_then(|identity| identity.born),
                        identity.and_then(|identity| identity.volume.as_deref()),
                    ],
                )
                .map(drop)
        })
    }

    /// Which files of a folder were looked at last, as it was kept.
    pub(crate) fn scope(&self, folder: i64) -> Result<Option<String>> {
        let sql = "SELECT scope FROM folders WHERE id = ?1";
        self.read(|connection| connection.query_row(sql, [folder], |row| row.get(0)))
    }

    pub(crate) fn set_scope(&self, folder: i64, scope: &str) -> Result<()> {
        let sql = "UPDATE folders SET scope = ?2 WHERE id = ?1";
        self.change(|connection| connection.execute(sql, params![folder, scope]).map(drop))
    }

    /// A share of what a file was before, which is to be taken back still.
    pub(crate) fn set_before(&self, place: &Place, share: &ShareId) -> Result<()> {
        let sql = "UPDATE watched SET before = ?4 WHERE folder = ?1 AND dir = ?2 AND name = ?3";
        let values = params![place.folder, place.dir, place.name, share.as_str()];
        self.change(|connection| connection.execute(sql, values).map(drop))
    }

    /// A share was gone on with by whoever: nothing is wrong with its file any more.
    pub(crate) fn wait_no_longer(&self, share: &ShareId) -> Result<()> {
        let sql = "UPDATE watched SET error = NULL, retry_at = NULL, tries = 0 WHERE share = ?1 AND state = 1";
        self.change(|connection| connection.execute(sql, [share.as_str()]).map(drop))
    }

    /// Whether a file of which a share is being made waits in a folder: whoever watches that goes on with it.
    pub(crate) fn is_waited_with(&self, share: &ShareId) -> Result<bool> {
        let sql = "SELECT 1 FROM watched WHERE share = ?1 AND state = 1 AND gone_at IS NULL";
        self.read(|connection| connection.prepare_cached(sql)?.exists([share.as_str()]))
    }

    /// The file of a share that was given up is left alone until it changes, as it may have by now.
    pub(crate) fn leave(&self, share: &ShareId) -> Result<()> {
        let sql = "UPDATE watched SET state = 0, error = NULL, retry_at = NULL, tries = 0
                   WHERE share = ?1 AND state = 1 AND (size, modified, inode) =
                   (SELECT origin_size, origin_modified, origin_inode FROM shares WHERE id = ?1)";
        self.change(|connection| connection.execute(sql, [share.as_str()]).map(drop))
    }

    /// Why a folder isn't watched just now, or only looked through.
    pub(crate) fn set_trouble(&self, folder: i64, trouble: Option<&str>) -> Result<()> {
        self.change(|connection| {
            connection
                .execute(
                    "UPDATE folders SET trouble = ?2 WHERE id = ?1 AND trouble IS NOT ?2",
                    params![folder, trouble],
                )
                .map(drop)
        })
    }

    pub(crate) fn trouble(&self, folder: i64) -> Result<Option<String>> {
        self.read(|connection| {
            connection
                .query_row("SELECT trouble FROM folders WHERE id = ?1", [folder], |row| row.get(0))
        })
    }

    pub(crate) fn counts(&self, folder: i64) -> Result<Counts> {
        let sql = "SELECT count(*) FILTER (WHERE share IS NOT NULL AND state = 2 AND dir != x'2f'),
                          count(*) FILTER (WHERE state = 1 AND gone_at IS NULL AND error IS NULL),
                          count(*) FILTER (WHERE gone_at IS NULL AND error IS NOT NULL), max(shared_at)
                   FROM watched WHERE folder = ?1";
        self.read(|connection| {
            connection.prepare_cached(sql)?.query_row([folder], |row| {
                Ok(Counts {
                    shared: unsigned(row.get(0)?),
                    waiting: unsigned(row.get(1)?),
                    failed: unsigned(row.get(2)?),
                    last_at: row.get::<_, Option<i64>>(3)?.map(time),
                })
            })
        })
    }

    /// Files of a folder that couldn't be shared, or moved or given on after that, and why.
    pub(crate) fn errors(&self, folder: i64) -> Result<Vec<(Place, String)>> {
        let sql = "SELECT dir, name, error FROM watched
                   WHERE folder = ?1 AND gone_at IS NULL AND error IS NOT NULL ORDER BY dir, name LIMIT 100";
        self.read(|connection| {
            connection
                .prepare_cached(sql)?
                .query_map([folder], |row| {
                    Ok((Place { folder, dir: row.get(0)?, name: row.get(1)? }, row.get(2)?))
                })?
                .collect()
        })
    }

    /// What is known of the files right in a folder.
    pub(crate) fn of_dir(&self, folder: i64, dir: &[u8]) -> Result<HashMap<Vec<u8>, Known>> {
        let sql = "SELECT name, size, modified, inode, state, looked, gone_at IS NOT NULL, error IS NOT NULL
                   FROM watched WHERE folder = ?1 AND dir = ?2";
        self.read(|connection| {
            connection
                .prepare_cached(sql)?
                .query_map(params![folder, dir], |row| Ok((row.get(0)?, known_of(row, 1)?)))?
                .collect()
        })
    }

    pub(crate) fn of_file(&self, place: &Place) -> Result<Option<Known>> {
        let sql =
            "SELECT size, modified, inode, state, looked, gone_at IS NOT NULL, error IS NOT NULL
                   FROM watched WHERE folder = ?1 AND dir = ?2 AND name = ?3";
        self.read(|connection| {
            connection
                .prepare_cached(sql)?
                .query_row(params![place.folder, place.dir, place.name], |row| known_of(row, 0))
                .optional()
        })
    }

    /// Folders below one of which files are known, with itself.
    pub(crate) fn dirs(&self, folder: i64) -> Result<Vec<Vec<u8>>> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT DISTINCT dir FROM watched WHERE folder = ?1 AND gone_at IS NULL",
                )?
                .query_map([folder], |row| row.get(0))?
                .collect()
        })
    }

    /// Other names under which the very same file is known, and whether it is new by that.
    pub(crate) fn namesakes(&self, place: &Place, file: Fingerprint) -> Result<Vec<(Place, bool)>> {
        let sql =
            "SELECT dir, name, state = 1 AND share IS NULL FROM watched INDEXED BY watched_inode
                   WHERE folder = ?1 AND inode = ?2 AND size = ?3 AND modified = ?4
                   AND NOT (dir = ?5 AND name = ?6)";
        let folder = place.folder;
        self.read(|connection| {
            connection
                .prepare_cached(sql)?
                .query_map(
                    params![
                        folder,
                        file.inode.cast_signed(),
                        signed(file.size),
                        file.modified,
                        place.dir,
                        place.name
                    ],
                    |row| Ok((Place { folder, dir: row.get(0)?, name: row.get(1)? }, row.get(2)?)),
                )?
                .collect()
        })
    }

    /// Forgets files that were set aside before then: no other name of theirs was found.
    pub(crate) fn forget_aside(&self, folder: i64, before: Timestamp) -> Result<()> {
        let sql = "DELETE FROM watched WHERE folder = ?1 AND dir = ?2 AND gone_at < ?3";
        let values = params![folder, ASIDE, before.as_second()];
        self.change(|connection| connection.prepare_cached(sql)?.execute(values).map(drop))
    }

    /// Forgets the names that the file of a share had before.
    pub(crate) fn forget_names(
        &self,
        place: &Place,
        file: Fingerprint,
        share: &ShareId,
    ) -> Result<()> {
        let sql = "DELETE FROM watched INDEXED BY watched_inode WHERE folder = ?1 AND inode = ?2 AND share = ?3
                   AND gone_at IS NOT NULL AND NOT (dir = ?4 AND name = ?5)";
        let inode = file.inode.cast_signed();
        let values = params![place.folder, inode, share.as_str(), place.dir, place.name];
        self.change(|connection| connection.execute(sql, values).map(drop))
    }

    /// Shares of files of the same size that had the same place on the disk, and aren't where they were.
    pub(crate) fn shared_before(&self, place: &Place, file: Fingerprint) -> Result<Vec<ShareId>> {
        let sql = "SELECT share FROM watched INDEXED BY watched_inode WHERE folder = ?1 AND inode = ?2 AND size = ?3
                   AND gone_at IS NOT NULL AND share IS NOT NULL";
        self.read(|connection| {
            let ids: Vec<String> = connection
                .prepare_cached(sql)?
                .query_map(
                    params![place.folder, file.inode.cast_signed(), signed(file.size)],
                    |row| row.get(0),
                )?
                .collect::<rusqlite::Result<_>>()?;
            Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
        })
    }

    /// Keeps what was seen.
    pub(crate) fn apply(&self, changes: &[Change]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        self.change(|connection| changes.iter().try_for_each(|change| apply(connection, change)))
    }

    /// Looks of an earlier run say nothing of the time since.
    pub(crate) fn forget_looks(&self) -> Result<()> {
        self.change(|connection| {
            connection.execute("UPDATE folders SET trouble = NULL", [])?;
            connection
                .execute("UPDATE watched SET looked = 0 WHERE state = 1 AND looked != 0", [])
                .map(drop)
        })
    }

    /// Files of these folders that wait and were seen so before `looked`, the oldest first. Those that went wrong wait
    /// until `now`.
    pub(crate) fn due(
        &self,
        folders: &[i64],
        looked: i64,
        now: Timestamp,
        most: usize,
    ) -> Result<Vec<Waiting>> {
        let sql =
            "SELECT folder, dir, name, size, modified, inode, share, before, tries
                   FROM watched INDEXED BY watched_queue WHERE state = 1 AND gone_at IS NULL AND looked <= ?1 AND (retry_at IS NULL OR retry_at <= ?2)
                   AND folder IN (SELECT value FROM json_each(?3))
                   ORDER BY modified LIMIT ?4";
        let folders = serde_json::to_string(folders).unwrap_or_default();
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        self.read(|connection| {
            connection
                .prepare_cached(sql)?
                .query_map(params![looked, now.as_second(), folders, most], waiting_of)?
                .collect()
        })
    }

    /// Whether files of a folder wait that nothing went wrong with.
    pub(crate) fn is_waiting(&self, folder: i64) -> Result<bool> {
        let sql = "SELECT 1 FROM watched INDEXED BY watched_queue WHERE state = 1 AND gone_at IS NULL AND folder = ?1 AND retry_at IS NULL";
        self.read(|connection| connection.prepare_cached(sql)?.exists([folder]))
    }

    /// When the next is due that isn't by now: in ms of this run by its look, and by the clock for those that went wrong.
    pub(crate) fn next_due(
        &self,
        folders: &[i64],
        looked: i64,
    ) -> Result<(Option<i64>, Option<Timestamp>)> {
        let sql =
            "SELECT min(looked) FILTER (WHERE retry_at IS NULL AND looked > ?2), min(retry_at)
                   FROM watched INDEXED BY watched_queue WHERE state = 1 AND gone_at IS NULL AND folder IN (SELECT value FROM json_each(?1))";
        let folders = serde_json::to_string(folders).unwrap_or_default();
        self.read(|connection| {
            connection.prepare_cached(sql)?.query_row(params![folders, looked], |row| {
                Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.map(time)))
            })
        })
    }
}

/// A share is about to be made of a watched file. Gives whether that is still known there.
pub(super) fn takes(
    connection: &Connection,
    place: &Place,
    share: &Share,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "UPDATE watched SET share = ?4, before = CASE WHEN before IS NULL THEN
                 (SELECT s.id FROM shares s WHERE s.id = share AND s.etag IS NOT NULL) ELSE before END
             WHERE folder = ?1 AND dir = ?2 AND name = ?3 AND inode = ?5",
        )?
        .execute(params![
            place.folder,
            place.dir,
            place.name,
            share.id.as_str(),
            share.fingerprint().map_or(0, |file| file.inode.cast_signed())
        ])
        .map(|taken| taken > 0)
}

/// The name of a file that is set aside.
const NAME_ASIDE: &str = "CAST(printf('%x-%x-%x', inode, size, modified) AS BLOB)";

/// Another file has the place of one, which may have another name. Gives the share that the other one replaces.
fn set_aside(connection: &Connection, place: &Place) -> rusqlite::Result<Option<String>> {
    // Nothing needs to be known of one that was never shared.
    let forget = "DELETE FROM watched WHERE folder = ?1 AND dir = ?2 AND name = ?3 AND state = 1 AND share IS NULL
                  RETURNING before";
    let set_aside = format!(
        "UPDATE OR REPLACE watched SET dir = ?4, name = {NAME_ASIDE}, gone_at = unixepoch()
         WHERE folder = ?1 AND dir = ?2 AND name = ?3 
         RETURNING coalesce((SELECT id FROM shares WHERE id = share AND etag IS NOT NULL), before, share)"
    );
    let forgotten: Option<Option<String>> = connection
        .prepare_cached(forget)?
        .query_row(params![place.folder, place.dir, place.name], |row| row.get(0))
        .optional()?;
    if let Some(before) = forgotten {
        return Ok(before);
    }
    let before: Option<Option<String>> = connection
        .prepare_cached(&set_aside)?
        .query_row(params![place.folder, place.dir, place.name, ASIDE], |row| row.get(0))
        .optional()?;
    Ok(before.flatten())
}

/// A file has another name. Gives whether it is known by `from`, or by none as another file has that already.
fn rename(
    connection: &Connection,
    from: &Place,
    to: &Place,
    file: Fingerprint,
) -> rusqlite::Result<bool> {
    let sql = |name: &str| {
        format!(
            "UPDATE watched SET dir = ?5, name = ?6, gone_at = NULL
             WHERE folder = ?1 AND inode = ?2 AND size = ?3 AND modified = ?4 AND dir = ?7 AND name = {name}"
        )
    };
    let (inode, size) = (file.inode.cast_signed(), signed(file.size));
    let values = params![from.folder, inode, size, file.modified, to.dir, to.name];
    let by_name = [values, params![from.dir, from.name]].concat();
    let aside = [values, params![ASIDE]].concat();
    let known = connection.prepare_cached(&sql("?8"))?.execute(&*by_name)? > 0
        || connection.prepare_cached(&sql(NAME_ASIDE))?.execute(&*aside)? > 0;
    if known {
        // What has its old name doesn't replace it.
        let sql = "UPDATE watched SET before = NULL WHERE folder = ?1 AND state = 1 AND before =
                   (SELECT share FROM watched WHERE folder = ?1 AND dir = ?2 AND name = ?3)";
        connection.prepare_cached(sql)?.execute(params![to.folder, to.dir, to.name])?;
    }
    Ok(known)
}

struct Seen {
    fingerprint: Fingerprint,
    fate: Fate,
    looked: i64,
}

/// Keeps a file as it was seen, with the share that it replaces where it is new. False where another file is known there.
fn see(
    connection: &Connection,
    place: &Place,
    file: &Seen,
    before: Option<&str>,
) -> rusqlite::Result<bool> {
    // What became of it since, as it is now, stays.
    let sql = "INSERT INTO watched (folder, dir, name, size, modified, inode, state, looked, before)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
               ON CONFLICT DO UPDATE SET
                   state = CASE WHEN size = ?4 AND modified = ?5 AND inode = ?6 THEN state ELSE ?7 END,
                   size = ?4, modified = ?5, inode = ?6, looked = ?8,
                   tries = 0, retry_at = NULL, error = NULL, gone_at = NULL
               WHERE inode = ?6";
    connection
        .prepare_cached(sql)?
        .execute(params![
            place.folder,
            place.dir,
            place.name,
            signed(file.fingerprint.size),
            file.fingerprint.modified,
            file.fingerprint.inode.cast_signed(),
            file.fate as i64,
            file.looked,
            before,
        ])
        .map(|written| written > 0)
}

fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    let run = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(sql)?.execute(values).map(drop)
    };
    match change {
        Change::Seen { place, fingerprint, fate, looked } => {
            let file = Seen { fingerprint: *fingerprint, fate: *fate, looked: *looked };
            if !see(connection, place, &file, None)? {
                let before = set_aside(connection, place)?;
                see(connection, place, &file, before.as_deref())?;
            }
            Ok(())
        }
        Change::Renamed { from, to, fingerprint, fate, looked } => {
            let before = set_aside(connection, to)?;
            if !rename(connection, from, to, *fingerprint)? {
                let file = Seen { fingerprint: *fingerprint, fate: *fate, looked: *looked };
                see(connection, to, &file, before.as_deref())?;
            }
            Ok(())
        }
        Change::Gone { place, at } => {
            // Of one that was never shared nothing needs to be known.
            run(
                "DELETE FROM watched WHERE folder = ?1 AND dir = ?2 AND name = ?3
                 AND state = 1 AND share IS NULL AND before IS NULL",
                &[&place.folder, &place.dir, &place.name],
            )?;
            run(
                "UPDATE watched SET gone_at = ?4
                 WHERE folder = ?1 AND dir = ?2 AND name = ?3 AND gone_at IS NULL",
                &[&place.folder, &place.dir, &place.name, &at.as_second()],
            )
        }
        Change::Back { place } => run(
            "UPDATE watched SET gone_at = NULL WHERE folder = ?1 AND dir = ?2 AND name = ?3",
            &[&place.folder, &place.dir, &place.name],
        ),
        Change::Due { place, looked } => run(
            "UPDATE watched SET looked = ?4, retry_at = NULL WHERE folder = ?1 AND dir = ?2 AND name = ?3",
            &[&place.folder, &place.dir, &place.name, looked],
        ),
    }
}

fn known_of(row: &Row<'_>, from: usize) -> rusqlite::Result<Known> {
    Ok(Known {
        fingerprint: fingerprint_of(row, from)?,
        fate: Fate::of(row.get(from + 3)?),
        looked: row.get(from + 4)?,
        is_gone: row.get(from + 5)?,
        has_error: row.get(from + 6)?,
    })
}

fn fingerprint_of(row: &Row<'_>, from: usize) -> rusqlite::Result<Fingerprint> {
    Ok(Fingerprint {
        size: unsigned(row.get(from)?),
        modified: row.get(from + 1)?,
        inode: row.get::<_, i64>(from + 2)?.cast_unsigned(),
    })
}

fn waiting_of(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    let id = |text: Option<String>| text.and_then(|text| text.parse().ok());
    Ok(Waiting {
        place: Place { folder: row.get(0)?, dir: row.get(1)?, name: row.get(2)? },
        fingerprint: fingerprint_of(row, 3)?,
        share: id(row.get(6)?),
        before: id(row.get(7)?),
        tries: row.get(8)?,
    })
}
