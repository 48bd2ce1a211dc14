//! Writes that share a commit: the disk syncs once for all that wait, not once for each.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::Shared;
use crate::{Code, Error, Result};

/// Another write within this time after the last one is taken for one of many.
const BUSY: Duration = Duration::from_millis(4);
/// How long more of them are waited for.
const MOMENT: Duration = Duration::from_millis(2);

/// Does its part of a transaction, if one could be begun; what it gives hears whether that was committed.
type Job = Box<dyn FnOnce(&Result<Transaction<'_>>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<()>) + Send>;

/// The thread that writes, started by the first write.
#[derive(Debug, Default)]
pub(super) struct Writer {
    jobs: OnceLock<Mutex<Sender<Job>>>,
}

impl Writer {
    /// Writes by `change` and returns once that is on the disk. Nothing of it stays when it fails.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        shared: &Arc<Shared>,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let explain = Arc::clone(shared);
        let job: Job = Box::new(move |transaction| {
            let changed = match transaction {
                Ok(transaction) => {
                    apart(transaction, change).map_err(|error| explain.failed(error))
                }
                Err(error) => Err(error.same()),
            };
            // Whoever asked may be gone: what was written stays written.
            Box::new(move |committed| drop(answer.send(committed.and(changed))))
        });
        let jobs = self.jobs.get_or_init(|| Mutex::new(start(shared)));
        let sent = jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job);
        sent.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

/// One change of several in a transaction: it leaves nothing when it fails.
fn apart<T>(
    connection: &Connection,
    change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let run = |sql| connection.prepare_cached(sql)?.execute([]);
    run("SAVEPOINT one")?;
    let changed = change(connection);
    if changed.is_err() {
        run("ROLLBACK TO one")?;
    }
    run("RELEASE one")?;
    changed
}

fn start(shared: &Arc<Shared>) -> Sender<Job> {
    let (jobs, waiting) = mpsc::channel();
    let shared = Arc::clone(shared);
    // It ends when the sender is dropped, once all is written.
    std::thread::spawn(move || run(&shared, &waiting));
    jobs
}

fn run(shared: &Shared, waiting: &Receiver<Job>) {
    let mut last: Option<Instant> = None;
    while let Ok(first) = waiting.recv() {
        // Where many small files are shared, their writes come one by one: those of a moment are one commit.
        if last.is_some_and(|last| last.elapsed() < BUSY) {
            std::thread::sleep(MOMENT);
        }
        let jobs: Vec<Job> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let connection = shared.connection();
        let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate)
            .map_err(|error| shared.failed(error));
        let answers: Vec<Answer> = jobs.into_iter().map(|job| job(&transaction)).collect();
        let committed = transaction
            .and_then(|transaction| transaction.commit().map_err(|error| shared.failed(error)));
        drop(connection);
        last = Some(Instant::now());
        for answer in answers {
            answer(match &committed {
                Ok(()) => Ok(()),
                Err(error) => Err(error.same()),
            });
        }
    }
}

fn ended() -> Error {
    Error::new(
        Code::Disk,
        "what was to be written into Lapse's database wasn't",
        "Check the disk and its room, then try again.",
    )
}
