//! The local store, hosted by a process that does more than that: the window.

use std::sync::Arc;

use jiff::Timestamp;
use lapse_local_store::{Options, Running};
use tokio::task::JoinHandle;

use super::{Hello, StoreHost, in_its_network, lan, start, start_background, store_error};
use crate::lapse::Lapse;
use crate::profile::LOCAL;
use crate::{Code, Error, Result};

/// The store, as long as this process hosts it.
#[derive(Default)]
pub(crate) struct Hosted(tokio::sync::Mutex<Option<Here>>);

struct Here {
    /// Taken only to be stopped.
    running: Option<Arc<Running>>,
    /// Listens where the setting says.
    following: JoinHandle<()>,
}

impl Here {
    async fn stop(mut self) {
        self.following.abort();
        // Once it has ended, nothing else holds the store.
        let _ = (&mut self.following).await;
        if let Some(running) = self.running.take().and_then(Arc::into_inner) {
            running.stop().await;
        }
    }
}

impl Lapse {
    /// Hosts the store in this process, unless another one was quicker.
    pub(super) async fn host_here(&self) -> Result<Hello> {
        let mut hosted = self.hosted.0.lock().await;
        // What is left of one whose end wasn't ours: its place is free again.
        if let Some(old) = hosted.take() {
            if lapse_local_store::host_of(&self.home.store()).is_ok_and(|host| host.is_some()) {
                *hosted = Some(old);
                return Ok(Hello::Busy);
            }
            old.stop().await;
        }
        let options = Options { embedded: true, ..Options::default() };
        let running = match start(&self.home, options).await {
            Ok(running) => Arc::new(running),
            Err(lapse_local_store::Error::Hosted(_) | lapse_local_store::Error::Busy(_)) => {
                return Ok(Hello::Busy);
            }
            Err(error) => return Err(store_error(&error)),
        };
        let info = in_its_network(&self.home, &running).await;
        let following = tokio::spawn({
            let (home, running) = (self.home.clone(), Arc::clone(&running));
            async move { lan::follow(&home, &running).await }
        });
        *hosted = Some(Here { running: Some(running), following });
        Ok(Hello::Ready(info))
    }

    /// Whether this process hosts the local store.
    pub async fn hosts_store(&self) -> bool {
        self.hosted.0.lock().await.is_some()
    }

    /// Sees to it that links of the local store work, if any is alive: for the start of a program that hosts it. Gives
    /// whether there is one.
    pub async fn serve_live_links(&self) -> Result<bool> {
        let needed = self.live_links(LOCAL)? > 0;
        if needed {
            super::ensure_up(self).await?;
        }
        Ok(needed)
    }

    /// Stops to host the local store, and lets a process in the background go on if a link of it is alive. Gives
    /// whether one does. Downloads under way get a few seconds; for a moment nobody answers.
    pub async fn hand_over_store(&self) -> Result<bool> {
        if !self.stop_hosting().await {
            return Ok(false);
        }
        // A database that can't be read proves nothing: then the links stay up.
        let needed =
            self.history.live_links(LOCAL, Timestamp::now()).map_or(true, |links| links > 0);
        let StoreHost::Here { program: Some(program) } = &self.store_host else {
            return Ok(false);
        };
        if !needed {
            return Ok(false);
        }
        match start_background(program, &self.home).await? {
            Hello::Ready(_) | Hello::Busy => Ok(true),
            Hello::Failed { message, hint, .. } => Err(Error::new(Code::Store, message, hint)),
        }
    }

    /// Stops the store, if this process hosts it. Gives whether it did.
    pub async fn stop_hosting(&self) -> bool {
        match self.hosted.0.lock().await.take() {
            Some(here) => {
                here.stop().await;
                true
            }
            None => false,
        }
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        self.following.abort();
    }
}
