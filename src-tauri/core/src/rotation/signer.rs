//! A user that only signs links, so that rotating its key touches neither uploads nor other programs.

use super::authority::Authority as _;
use super::garage::Garage;
use super::iam::Iam;
use super::policy;
use super::steps::RotationStep;
use crate::keychain::Sensitive;
use crate::lapse::Lapse;
use crate::profile::{Endpoint, Profile, Signer, check_access_key, is_this_computer};
use crate::share::random_step;
use crate::storage::provider::Rotation as Way;
use crate::storage::{Keys, keychain_error};
use crate::{Code, Error, Result};

/// Letters and digits that tell one profile's users from another's.
const LETTERS: usize = 8;

/// Who may make users and keys: asked once, never kept.
#[derive(Debug)]
pub enum Admin {
    /// An access key of the IAM query API.
    Keys(Keys),
    /// A token of Garage's admin API.
    Garage {
        /// Where that listens: `http://127.0.0.1:3903`.
        endpoint: String,
        /// The token.
        token: Sensitive<String>,
    },
}

impl Lapse {
    /// Makes a user that may read what is under a profile's prefix and nothing else, and one that may rotate its keys
    /// and nothing else; links are signed by the first from then on. `admin` isn't kept.
    pub async fn create_signer(&self, profile: Option<&str>, admin: Admin) -> Result<Signer> {
        let mut profile = self.profile(profile).await?;
        if profile.is_local() {
            return Err(Error::new(
                Code::Profile,
                "the local store signs with a key of its own already",
                "Rotate it with `lapse revoke --all`.",
            ));
        }
        let mut lost = None;
        if let Some(signer) = &profile.signer {
            match self.keys(&profile, Some(&signer.access_key)).await {
                // One whose secret is lost is no use.
                Err(error) if error.code == Code::LinkNotKept => {
                    lost = Some(signer.access_key.clone());
                    profile.signer = None;
                }
                Err(error) => return Err(error),
                Ok(_) => {
                    return Err(Error::new(
                        Code::ProfileExists,
                        format!(
                            "links of «{}» are signed by {} already",
                            profile.name, signer.user
                        ),
                        "Rotate its key with `lapse revoke --all`.",
                    ));
                }
            }
        }
        let is_garage = profile.provider.rotation == Way::GarageAdmin;
        if is_garage != matches!(admin, Admin::Garage { .. }) {
            let (what, hint) = if is_garage {
                (
                    "Garage makes keys by its admin API, not by an access key",
                    "Give its address: lapse profile signer create --admin-endpoint http://127.0.0.1:3903",
                )
            } else {
                ("only Garage takes an admin token", "Leave --admin-endpoint out.")
            };
            return Err(Error::new(Code::Usage, what, hint));
        }
        let bucket = self.bucket(profile.clone()).await?;
        let mut letters = random_step();
        letters.truncate(LETTERS);
        let user = format!("lapse-signer-{letters}");
        let signer = match admin {
            Admin::Keys(admin) => {
                check_access_key(&admin.access_key)?;
                let kms_key = bucket.kms_key().await;
                let admin = Iam::open(&profile, admin, None, self.clock(&profile)?)?;
                let made = self.make_signer(&profile, &admin, &user, kms_key.as_deref()).await;
                self.keep_signer(&profile, made, || async {
                    for user in [&user, &rotator_of(&user)] {
                        admin.of(user).delete_user().await?;
                    }
                    Ok(())
                })
                .await
            }
            Admin::Garage { endpoint, token } => {
                let endpoint = Endpoint::parse(&endpoint)?;
                if endpoint.scheme == "http" && !is_this_computer(&endpoint.authority) {
                    return Err(Error::new(
                        Code::Usage,
                        format!(
                            "the admin token would cross the network to {} unencrypted",
                            endpoint.authority
                        ),
                        "Give an https:// address, or come to it by a tunnel: ssh -L 3903:127.0.0.1:3903 HOST, then --admin-endpoint http://127.0.0.1:3903.",
                    ));
                }
                let clock = self.clock(&profile)?;
                let garage = Garage::open(&profile, endpoint.clone(), token, &user, clock)?;
                let made = self.make_keys(&profile, endpoint, &garage, &user).await;
                let rotator = made.as_ref().ok().and_then(|(signer, _)| signer.rotator.clone());
                self.keep_signer(&profile, made, || async {
                    for key in garage.keys().await? {
                        garage.delete(&key.access_key).await?;
                    }
                    match rotator {
                        Some(rotator) => garage.delete_token(&rotator).await,
                        None => Ok(()),
                    }
                })
                .await
            }
        }?;
        // Its links live on: whether they should is the person's to say.
        if let Some(lost) = lost {
            self.stepped(&RotationStep::Left { access_keys: vec![lost] });
        }
        Ok(signer)
    }

    /// Keeps the secrets and names the signer in the settings; where that can't be, what was made is taken away.
    async fn keep_signer<F: Future<Output = Result<()>> + Send>(
        &self,
        profile: &Profile,
        made: Result<(Signer, Vec<Keys>)>,
        take_away: impl FnOnce() -> F + Send,
    ) -> Result<Signer> {
        let kept = async {
            let (signer, secrets) = made?;
            for keys in &secrets {
                let name = profile.secret_name(&keys.access_key);
                let set = self.keychain.keychain().set(&name, &keys.secret).await;
                set.map_err(keychain_error)?;
            }
            self.change_settings(|settings| settings.set_signer(&profile.name, &signer))?;
            Ok(signer)
        };
        let kept = kept.await;
        if kept.is_err()
            && let Err(error) = take_away().await
        {
            tracing::warn!(code = error.code.as_str(), "a user or a key may be left");
        }
        kept
    }

    async fn make_keys(
        &self,
        profile: &Profile,
        endpoint: Endpoint,
        garage: &Garage,
        user: &str,
    ) -> Result<(Signer, Vec<Keys>)> {
        let keys = garage.create().await?;
        self.wait_until_known(profile, &keys).await?;
        let (id, token) = garage.create_token(&rotator_of(user)).await?;
        let signer = Signer {
            access_key: keys.access_key.clone(),
            user: user.to_owned(),
            rotator: Some(id.clone()),
            admin_endpoint: Some(endpoint),
        };
        Ok((signer, vec![keys, Keys::lasting(id, token)]))
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
        let mut signer = Signer {
            access_key: keys.access_key.clone(),
            user: user.to_owned(),
            rotator: None,
            admin_endpoint: None,
        };
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
