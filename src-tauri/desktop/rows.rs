//! Core's types, as the page wants them.

use jiff::Timestamp;
use lapse_core::profile;
use lapse_core::profile::{CleanUp, SignIn};
use lapse_core::rotation::{AllLinks, AllRevoked, RotationStep};
use lapse_core::share::{Known, Reach, State, Unreachable};
use lapse_core::storage::probe;
use lapse_core::storage::provider::{self, Rotation};

use crate::commands::Answer;
use crate::shell::Shell;
use crate::wire;

/// Milliseconds since 1970.
#[expect(clippy::cast_precision_loss, reason = "exact for 280,000 years")]
pub(crate) fn millis(at: Timestamp) -> f64 {
    at.as_millisecond() as f64
}

/// Bytes.
#[expect(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
pub(crate) fn bytes(size: u64) -> f64 {
    size as f64
}

/// How many; what is more than fits is as many as fit.
pub(crate) fn count(number: impl TryInto<u32>) -> u32 {
    number.try_into().unwrap_or(u32::MAX)
}

impl From<&Known> for wire::Share {
    fn from(known: &Known) -> Self {
        let share = &known.share;
        let link = known.link.as_ref();
        Self {
            id: share.id.to_string(),
            name: share.name.clone(),
            size: bytes(share.size),
            profile: share.profile.clone(),
            state: wire::State::from(&known.state),
            arrived: bytes(share.arrived),
            trouble: share.trouble.clone(),
            reach: known.reach.into(),
            created_at: millis(share.created_at),
            signed_at: link.map(|link| millis(link.facts.signed_at)),
            ends_at: link.map(|link| millis(link.facts.ends_at())),
            checked_at: link.and_then(|link| link.checked).map(|(at, _)| millis(at)),
            clock_ahead: known.clock_ahead.as_secs_f64() * 1000.0,
            has_file: share.file().is_some(),
            revocable: share.is_ours(),
            other_links: count(known.live_links).saturating_sub(1),
            label: share.label.clone(),
            folder: share.folder.as_deref().map(at_home),
        }
    }
}

impl wire::AllLinks {
    pub(crate) fn of(shell: &Shell, plan: AllLinks) -> Answer<Self> {
        let shares =
            plan.shares.iter().map(|share| shell.row(&share.id)).collect::<Answer<Vec<_>>>()?;
        let (last_used, last_service) = match plan.last_use {
            Some(used) => (Some(millis(used.at)), used.service),
            None => (None, None),
        };
        Ok(Self {
            access_key: plan.access_key,
            shares,
            others: count(plan.others),
            is_own: plan.is_own,
            last_used,
            last_service,
            by_hand: plan.by_hand,
            role: plan.role,
        })
    }
}

impl wire::AllRevoked {
    pub(crate) fn of(shell: &Shell, revoked: &AllRevoked) -> Answer<Self> {
        let kept = revoked.kept.iter().map(|shared| shell.row(&shared.share.id));
        Ok(Self {
            checked: count(revoked.checked),
            refused: count(revoked.refused),
            unasked: count(revoked.unasked),
            kept: kept.collect::<Answer<_>>()?,
            old_key: revoked.old_key.clone(),
            is_off: revoked.is_off,
            is_restorable: revoked.is_restorable,
        })
    }
}

impl From<&RotationStep> for wire::RotationStep {
    fn from(step: &RotationStep) -> Self {
        match step {
            RotationStep::Made { .. } => Self::Made,
            RotationStep::Stored => Self::Stored,
            RotationStep::Works => Self::Works,
            RotationStep::Signed { kept } => Self::Signed { kept: count(*kept) },
            RotationStep::Off { .. } | RotationStep::SessionsEnded { .. } => Self::Off,
            RotationStep::ByHand { access_key } => Self::ByHand { access_key: access_key.clone() },
            RotationStep::Asked { checked, refused, again } => Self::Asked {
                checked: count(*checked),
                refused: count(*refused),
                again_in: again.map(|again| again.as_secs_f64() * 1000.0),
            },
            RotationStep::Deleted => Self::Deleted,
            RotationStep::Left { access_keys } => Self::Left { access_keys: access_keys.clone() },
        }
    }
}

impl From<&State> for wire::State {
    fn from(state: &State) -> Self {
        match state {
            State::Uploading => Self::Uploading,
            State::Paused => Self::Paused,
            State::Failed(reason) => Self::Failed { reason: reason.clone() },
            State::Active => Self::Active,
            State::CutShort(code) => Self::CutShort { why: code.as_str().to_owned() },
            State::Expired => Self::Expired,
            State::Revoked(at) => Self::Revoked { at: millis(*at) },
            State::Unreachable(why) => Self::Unreachable {
                why: match why {
                    Unreachable::ObjectGone => "object_gone",
                    Unreachable::KeyOff => "key_off",
                    Unreachable::Refused => "refused",
                    Unreachable::NoAddress => "no_address",
                    Unreachable::NoAnswer => "no_answer",
                }
                .to_owned(),
            },
        }
    }
}

impl From<Reach> for wire::Reach {
    fn from(reach: Reach) -> Self {
        match reach {
            Reach::Anywhere => Self::Anywhere,
            Reach::Computer => Self::Computer,
            Reach::Network => Self::Network,
            Reach::Nowhere => Self::Nowhere,
        }
    }
}

impl From<&provider::Provider> for wire::Provider {
    fn from(provider: &provider::Provider) -> Self {
        let by_hand = provider.rotation == Rotation::ByHand;
        Self {
            id: provider.id.to_owned(),
            name: provider.name.to_owned(),
            endpoint: provider.endpoint.map(str::to_owned),
            region: provider.region.map(str::to_owned),
            path_style: provider.path_style,
            post_form: provider.post_form,
            rotation: if by_hand { "by_hand" } else { "here" }.to_owned(),
        }
    }
}

impl From<&probe::Finding> for wire::Finding {
    fn from(finding: &probe::Finding) -> Self {
        Self { name: finding.name.clone(), verdict: finding.verdict, text: finding.text.clone() }
    }
}

impl From<wire::SignIn> for SignIn {
    fn from(sign_in: wire::SignIn) -> Self {
        match sign_in {
            wire::SignIn::AccessKey { id } => Self::AccessKey(id),
            wire::SignIn::AwsProfile { name } => Self::AwsProfile(name),
            wire::SignIn::AwsDefault => Self::AwsDefault,
        }
    }
}

impl From<wire::Draft> for profile::Draft {
    fn from(draft: wire::Draft) -> Self {
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Self {
            name: draft.name,
            provider: draft.provider,
            endpoint: given(draft.endpoint),
            region: given(draft.region),
            bucket: draft.bucket,
            prefix: given(draft.prefix),
            path_style: draft.path_style,
            sign_in: Some(draft.sign_in.into()),
            // Kept by core when a profile that has these is edited.
            signer: None,
            ca_file: None,
            clean_up: draft.clean_up,
        }
    }
}

impl From<&profile::Profile> for wire::Draft {
    fn from(profile: &profile::Profile) -> Self {
        Self {
            name: profile.name.clone(),
            provider: profile.provider.id.to_owned(),
            endpoint: Some(profile.endpoint.to_string()),
            region: Some(profile.region.clone()),
            bucket: profile.bucket.clone(),
            prefix: Some(profile.prefix.clone()).filter(|prefix| !prefix.is_empty()),
            path_style: Some(profile.path_style),
            sign_in: match &profile.sign_in {
                SignIn::AccessKey(id) => wire::SignIn::AccessKey { id: id.clone() },
                SignIn::AwsProfile(name) => wire::SignIn::AwsProfile { name: name.clone() },
                SignIn::AwsDefault | SignIn::LocalStore => wire::SignIn::AwsDefault,
            },
            clean_up: Some(CleanUp::to_string(&profile.clean_up)),
        }
    }
}

/// A path as a person writes it.
pub(crate) fn at_home(path: &str) -> String {
    let home = std::env::home_dir().and_then(|home| home.to_str().map(str::to_owned));
    let below = home.as_ref().and_then(|home| path.strip_prefix(home.as_str()));
    match below {
        Some(below) if below.starts_with('/') => format!("~{below}"),
        _ => path.to_owned(),
    }
}
