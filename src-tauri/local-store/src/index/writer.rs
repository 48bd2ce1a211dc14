//! The one thread that writes. What waits for it at the same moment is committed together: the disk takes
//! as long for one commit as for fifty.

use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::{io, mem};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::broadcast;

use crate::event::Event;
use crate::fault::Fault;
use crate::{blobs, private};

/// Those who came first shouldn't wait for all who came later.
const MOST: usize = 128;

/// A transaction under way, and what is to be done once it is committed.
pub(crate) struct Change<'a> {
    connection: &'a Connection,
    after: After,
}

#[derive(Default)]
struct After {
    orphans: Vec<String>,
    events: Vec<Event>,
}

impl Change<'_> {
    /// Those of `files` that no row names any more go after the commit.
    pub(super) fn release(&mut self, files: Vec<String>) -> Result<(), Fault> {
        for file in files {
            if !super::is_named(self, &file)? {
                self.after.orphans.push(file);
            }
        }
        Ok(())
    }

    /// Is told after the commit.
    pub(super) fn tell(&mut self, event: Event) {
        self.after.events.push(event);
    }
}

impl Deref for Change<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// What a change gave, and the blob files that may go now.
pub(crate) struct Written<T> {
    pub(crate) value: T,
    pub(crate) orphans: Vec<String>,
}

/// The thread. Dropped, it finishes what was asked of it and closes the index.
pub(super) struct Writer {
    queue: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        dir: &Path,
        events: broadcast::Sender<Event>,
    ) -> io::Result<Self> {
        let (queue, jobs) = channel();
        let folder = blobs::folder(dir);
        let thread = thread::Builder::new()
            .name("index".into())
            .spawn(move || serve(connection, &folder, &jobs, &events))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Does `job`; all of it is on the disk when this returns `Ok`, else nothing. `names_blob` says that a
    /// file was just moved to where the rows say.
    pub(super) fn write<T: Send + 'static>(
        &self,
        names_blob: bool,
        job: impl FnOnce(&mut Change<'_>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<Written<T>, Fault> {
        let (reply, answer) = sync_channel(1);
        let pending = Pending { job: Some(job), names_blob, result: None, reply };
        let queued = self.queue.as_ref().is_some_and(|queue| queue.send(Box::new(pending)).is_ok());
        if !queued {
            return Err(io::Error::other("the index is closed").into());
        }
        answer.recv().map_err(io::Error::other)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that writes the index panicked");
        }
    }
}

fn serve(
    mut connection: Connection,
    folder: &Path,
    jobs: &Receiver<Box<dyn Job>>,
    events: &broadcast::Sender<Event>,
) {
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        batch.extend(jobs.try_iter().take(MOST - 1));
        let committed = commit(&mut connection, folder, &mut batch);
        for job in batch {
            job.answer(committed.as_ref().map_err(Fault::again).copied(), events);
        }
    }
}

/// All jobs of a batch in one transaction; those that are refused leave nothing in it.
fn commit(
    connection: &mut Connection,
    folder: &Path,
    batch: &mut [Box<dyn Job>],
) -> Result<(), Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut names_blob = false;
    for job in batch {
        transaction.prepare_cached("SAVEPOINT job")?.execute([])?;
        let done = job.run(&transaction);
        if transaction.is_autocommit() {
            // A full disk, for one, takes the whole transaction back.
            return Err(io::Error::other("the index took its changes back").into());
        }
        if done {
            names_blob |= job.names_blob();
        } else {
            transaction.prepare_cached("ROLLBACK TO job")?.execute([])?;
        }
        transaction.prepare_cached("RELEASE job")?.execute([])?;
    }
    if names_blob {
        private::sync_dir(folder)?;
    }
    Ok(transaction.commit()?)
}

/// A change that waits for its turn, whatever it gives.
trait Job: Send {
    /// Gives whether it is to be committed.
    fn run(&mut self, connection: &Connection) -> bool;

    fn names_blob(&self) -> bool;

    fn answer(self: Box<Self>, committed: Result<(), Fault>, events: &broadcast::Sender<Event>);
}

struct Pending<T, F> {
    job: Option<F>,
    names_blob: bool,
    result: Option<Result<(T, After), Fault>>,
    reply: SyncSender<Result<Written<T>, Fault>>,
}

impl<T, F> Job for Pending<T, F>
where
    T: Send,
    F: FnOnce(&mut Change<'_>) -> Result<T, Fault> + Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let Some(job) = self.job.take() else { return false };
        // What is half done by a job that panics is rolled back with it.
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut change = Change { connection, after: After::default() };
            let value = job(&mut change)?;
            Ok((value, change.after))
        }));
        let result = result
            .unwrap_or_else(|_| Err(io::Error::other("a change of the index panicked").into()));
        self.result.insert(result).is_ok()
    }

    fn names_blob(&self) -> bool {
        self.names_blob
    }

    fn answer(self: Box<Self>, committed: Result<(), Fault>, events: &broadcast::Sender<Event>) {
        let Self { result, reply, .. } = *self;
        let answer = match (result, committed) {
            (Some(Err(fault)), _) | (_, Err(fault)) => Err(fault),
            (Some(Ok((value, mut after))), Ok(())) => {
                for event in mem::take(&mut after.events) {
                    // Nobody has to listen.
                    let _ = events.send(event);
                }
                Ok(Written { value, orphans: after.orphans })
            }
            (None, Ok(())) => Err(io::Error::other("a change of the index was left out").into()),
        };
        // Whoever asked waits for this answer, or has panicked.
        let _ = reply.send(answer);
    }
}
