//! Secrets for this run only.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::{Failure, SecretStore, Sensitive, held};

/// Secrets that end with the process: the choice of someone who wants none of them kept.
#[derive(Default)]
pub(super) struct Memory(Mutex<BTreeMap<String, Sensitive<String>>>);

impl SecretStore for Memory {
    fn get(&self, name: &str) -> Result<Option<Sensitive<String>>, Failure> {
        Ok(held(&self.0).get(name).cloned())
    }

    fn set(&self, name: &str, secret: &Sensitive<String>) -> Result<(), Failure> {
        held(&self.0).insert(name.to_owned(), secret.clone());
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), Failure> {
        held(&self.0).remove(name);
        Ok(())
    }

    fn look(&self) -> Result<(), Failure> {
        Ok(())
    }
}
