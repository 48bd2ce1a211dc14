//! A user that only signs links, so that rotating its key touches neither uploads nor other programs.

use super::authority::Authority as _;
use super::iam::Iam;
use super::policy;
use crate::lapse::Lapse;
use crate::profile::{Profile, Signer, check_access_key};
use crate::share::random_step;
use crate::storage::{Keys, keychain_error};
use crate::{Code, Error, Result};

/// Letters and digits that tell one profile's users from another's.
const LETTERS: usize = 8;

impl Lapse {
    /// Makes a user that may read what is under a profile's prefix and nothing else, and one that may rotate its keys
    /// and nothing else; links are signed by the first from then on. `admin` isn't kept.
    pub async fn create_signer(&self, profile: Option<&str>, admin: Keys) -> Result<Signer> {
        check_access_key(&admin.access_key)?;
        let profile = self.profile(profile).await?;
        if profile.is_local() {
            return Err(Error::new(
                Code::Profile,
                "the local store signs with a key of its own already",
                "Rotate it with `lapse revoke --all`.",
            ));
        }
        if let Some(signer) = &profile.signer {
            return Err(Error::new(
                Code::ProfileExists,
                format!("links of «{}» are signed by {} already", profile.name, signer.user),
                "Rotate its key with `lapse revoke --all`.",
            ));
        }
        let bucket = self.bucket(profile.clone()).await?;
        let kms_key = bucket.kms_key().await;
        let admin = Iam::open(&profile, admin, None, self.clock(&profile)?)?;
        let mut letters = random_step();
        letters.truncate(LETTERS);
        let user = format!("lapse-signer-{letters}");
        let made = self.make_signer(&profile, &admin, &user, kms_key.as_deref()).await;
        let (signer, secrets) = match made {
            Ok(made) => made,
            Err(error) => {
                // What was made of it is no use to anyone.
                for user in [&user, &rotator_of(&user)] {
                    if let Err(error) = admin.of(user).delete_user().await {
                        tracing::info!(user, code = error.code.as_str(), "a user may be left");
                    }
                }
                return Err(error);
            }
        };
        let kept = async {
            for keys in &secrets {
                let name = profile.secret_name(&keys.access_key);
                let set = self.keychain.keychain().set(&name, &keys.secret).await;
                set.map_err(keychain_error)?;
            }
            self.change_settings(|settings| settings.set_signer(&profile.name, &signer))
        };
        if let Err(error) = kept.await {
            for user in [&user, &rotator_of(&user)] {
                admin.of(user).delete_user().await?;
            }
            return Err(error);
        }
        Ok(signer)
    }

    async fn make_signer(
        &self,
        profile: &Profile,
        admin: &Iam,
        user: &str,
        kms_key: Option<&str>,
    ) -> Result<(Signer, Vec<Keys>)> {
        let signer = admin.of(user);
        signer.create_user().await?;
        signer.put_policy("read", &policy::read(profile, kms_key)).await?;
        let keys = signer.create().await?;
        let mut secrets = vec![keys.clone()];
        let rotator_name = rotator_of(user);
        let rotator = admin.of(&rotator_name);
        rotator.create_user().await?;
        let rotates = match rotator.put_policy("rotate", &policy::rotate(profile, user)).await {
            Ok(()) => true,
            // Some servers know no policies about keys; there each user may rotate its own.
            Err(error) if error.code == Code::NoIam => {
                rotator.delete_user().await?;
                false
            }
            Err(error) => return Err(error),
        };
        let mut signer =
            Signer { access_key: keys.access_key.clone(), user: user.to_owned(), rotator: None };
        if rotates {
            let keys = rotator.create().await?;
            signer.rotator = Some(keys.access_key.clone());
            secrets.push(keys);
        }
        self.wait_until_known(profile, &keys).await?;
        Ok((signer, secrets))
    }
}

fn rotator_of(user: &str) -> String {
    user.replacen("signer", "rotator", 1)
}
