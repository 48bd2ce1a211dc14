//! The keys of a running store: making, switching and deleting them, and when each was used.
//!
//! A change is on the disk before it is answered, and counts from the next request on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::Key;
use crate::fault::{Fault, KeyFault};
use crate::index::{self, AccessKey, Change};
use crate::store::Store;

/// A copy of the index's keys: each request asks for one.
pub(crate) struct Keys {
    by_id: RwLock<ById>,
    /// Held while the index and this copy are changed, so that both see changes in one order.
    changing: Mutex<()>,
}

type ById = HashMap<String, Arc<AccessKey>>;

impl Keys {
    pub(crate) fn new(keys: Vec<AccessKey>) -> Self {
        let by_id = keys.into_iter().map(|key| (key.credentials.access_key.clone(), Arc::new(key)));
        Self { by_id: RwLock::new(by_id.collect()), changing: Mutex::default() }
    }

    /// The key of this id, active or not.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<AccessKey>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// All of them, the oldest first.
    pub(crate) fn all(&self) -> Vec<Arc<AccessKey>> {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<_> = by_id.values().cloned().collect();
        keys.sort_by(|a, b| {
            let place = |key: &AccessKey| (key.created_at, key.credentials.access_key.clone());
            place(a).cmp(&place(b))
        });
        keys
    }

    fn insert(&self, key: Arc<AccessKey>) {
        let mut by_id = self.by_id.write().unwrap_or_else(PoisonError::into_inner);
        by_id.insert(key.credentials.access_key.clone(), key);
    }

    fn remove(&self, id: &str) {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

/// Whether the store may be left without an active root key. In process it may: a new one is made
/// in process, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastRoot {
    MayGo,
    Stays,
}

impl Store {
    /// The key of this id, when it is active.
    pub(crate) fn key(&self, id: &str) -> Option<Arc<AccessKey>> {
        self.keys.find(id).filter(|key| key.is_active())
    }

    /// Makes one more key of a role.
    pub(crate) async fn create_key(self: &Arc<Self>, role: Key) -> Result<Arc<AccessKey>, Fault> {
        self.change_keys(
            move |change| index::create_key(change, role).map(Arc::new),
            |keys, key| keys.insert(Arc::clone(key)),
        )
        .await
    }

    /// Switches a key off or on; its secret is kept.
    pub(crate) async fn set_key_active(
        self: &Arc<Self>,
        id: &str,
        active: bool,
        last_root: LastRoot,
    ) -> Result<(), Fault> {
        let key = self.keys.find(id).ok_or(KeyFault::Unknown)?;
        let id = id.to_owned();
        self.change_keys(
            move |change| {
                if !active && last_root == LastRoot::Stays {
                    index::check_other_root(change, &id)?;
                }
                index::set_key_active(change, &id, active)
            },
            move |_, ()| key.set_active(active),
        )
        .await
    }

    /// Forgets a key with its secret.
    pub(crate) async fn delete_key(
        self: &Arc<Self>,
        id: &str,
        last_root: LastRoot,
    ) -> Result<(), Fault> {
        let (id, removed) = (id.to_owned(), id.to_owned());
        self.change_keys(
            move |change| {
                if last_root == LastRoot::Stays {
                    index::check_other_root(change, &id)?;
                }
                index::delete_key(change, &id)
            },
            move |keys, ()| keys.remove(&removed),
        )
        .await
    }

    /// Writes down when keys were used, as far as that isn't done.
    pub(crate) async fn save_uses(self: &Arc<Self>) {
        let uses: Vec<_> = self
            .keys
            .all()
            .into_iter()
            .filter_map(|key| Some((key.credentials.access_key.clone(), key.take_unsaved_use()?)))
            .collect();
        if uses.is_empty() {
            return;
        }
        let saved = self.write(move |change| {
            for (id, last) in uses {
                index::save_use(change, &id, last)?;
            }
            Ok(())
        });
        if let Err(fault) = saved.await {
            tracing::warn!(?fault, "when the store's keys were used couldn't be written down");
        }
    }

    async fn change_keys<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce(&mut Change<'_>) -> Result<T, Fault> + Send + 'static,
        apply: impl FnOnce(&Keys, &T) + Send + 'static,
    ) -> Result<T, Fault> {
        let store = Arc::clone(self);
        self.blocking(move || {
            let _changing = store.keys.changing.lock().unwrap_or_else(PoisonError::into_inner);
            let changed = store.index.write(job)?.value;
            apply(&store.keys, &changed);
            Ok(changed)
        })
        .await
    }
}
