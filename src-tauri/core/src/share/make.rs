//! Making a share and its links.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::folder::Folder;
use super::source::quoted;
use super::upload::{Input, Owned};
use super::{
    Expiry, Fingerprint, Link, OpenFile, Origin, Reach, Share, ShareId, Source, State, UnderWay,
    content_type, disposition, object_key,
};
use crate::history::{Place, UploadRow};
use crate::keychain::Sensitive;
use crate::lapse::Lapse;
use crate::profile::Profile;
use crate::storage::{Bucket, Headers, Integrity, Keys, LinkFacts, SignInEnd};
use crate::transfer::Sent;
use crate::{Code, Error, Result};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// What to share.
    pub source: Source,
    /// The name that recipients see; the source's own where none is given.
    pub name: Option<String>,
    /// How long the link is to live; the setting where nothing is said.
    pub expires: Option<Expiry>,
    /// Show in the browser what a browser shows safely.
    pub inline: bool,
    /// The profile; the one in use where none is given.
    pub profile: Option<String>,
    /// What the person groups shares by.
    pub label: Option<String>,
}

/// What a path names.
pub(super) enum Found {
    File(OpenFile),
    Folder(Folder),
}

impl Found {
    pub(super) async fn at(path: &Path) -> Result<Self> {
        Self::open(path, OpenFile::open).await
    }

    /// A watched file, if it still is as it was seen.
    pub(super) async fn directly(path: &Path, seen: Fingerprint) -> Result<Self> {
        match Self::open(path, OpenFile::open_directly).await? {
            Self::File(file) if file.fingerprint != seen => Err(file.changed()),
            Self::Folder(folder) => Err(not_there(&folder.path)),
            file @ Self::File(_) => Ok(file),
        }
    }

    async fn open(
        path: &Path,
        open: impl FnOnce(&Path) -> Result<OpenFile> + Send + 'static,
    ) -> Result<Self> {
        let path = path.to_owned();
        // A large folder takes a while to be looked through, and a disk may take a while to answer.
        let looking = tokio::task::spawn_blocking(move || {
            if path.is_dir() {
                Folder::open(&path).map(Self::Folder)
            } else {
                open(&path).map(Self::File)
            }
        });
        looking.await.unwrap_or_else(|error| {
            let what = "it can't be read";
            Err(Error::new(Code::FileUnreadable, what, "Try again.").caused_by(error))
        })
    }
}

fn renamed(share: &Share) -> Error {
    let what = format!("«{}» got another name just now", share.name);
    Error::new(Code::FileChanged, what, "It is shared by that.")
}

pub(super) fn not_there(path: &Path) -> Error {
    Error::new(
        Code::FileMissing,
        format!("what was shared from {} isn't there any more", quoted(path)),
        "Something else has its name now: share that by itself.",
    )
}

/// A share and a link of it that works.
#[derive(Debug)]
pub struct Shared {
    /// The share.
    pub share: Share,
    /// Its state at the server's time.
    pub state: State,
    /// What the link was made of.
    pub link: Link,
    /// The link: a secret.
    pub url: Sensitive<String>,
}

impl Lapse {
    /// Puts a file into the bucket and gives a link to it. The link is given only when the object is there.
    pub async fn share(&self, request: Request) -> Result<Shared> {
        self.share_as(ShareId::random(), request).await
    }

    /// The same with an id of the caller's choice, by which the upload can be paused or canceled meanwhile.
    pub async fn share_as(&self, id: ShareId, request: Request) -> Result<Shared> {
        Box::pin(self.share_if(id, request, None, |_| Ok(()))).await
    }

    /// Shares once more what a share was made from, for when that has ended: with the same name, by the same
    /// profile. A file that changed since then is shared only with `changed_too` ([`Code::FileChanged`]).
    pub async fn share_again(
        &self,
        id: &ShareId,
        expires: Option<Expiry>,
        changed_too: bool,
    ) -> Result<Shared> {
        let share = self.find(id)?;
        let (source, before) = match &share.origin {
            Origin::File { path, fingerprint } => (Source::File(path.clone()), Some(*fingerprint)),
            // It is packed anew, with what is in it now.
            Origin::Folder { path, .. } => (Source::File(path.clone()), None),
            Origin::Object => {
                (Source::Object { bucket: share.bucket.clone(), key: share.key.clone() }, None)
            }
            Origin::Stdin => {
                return Err(Error::new(
                    Code::FileMissing,
                    format!("«{}» was never a file on this computer", share.name),
                    "Share it from where it came from.",
                ));
            }
        };
        let shown = share.links.last().and_then(|link| link.facts.disposition.as_deref());
        let request = Request {
            source,
            name: Some(share.name.clone()),
            expires,
            inline: shown.is_some_and(|shown| shown.starts_with("inline")),
            profile: Some(share.profile.clone()),
            label: share.label.clone(),
        };
        let is_same = |found: &Found| match (&share.origin, found, before) {
            (Origin::Folder { path, .. }, Found::File(_), _)
            | (Origin::File { path, .. }, Found::Folder(_), _) => Err(not_there(path)),
            (_, Found::File(file), Some(before)) if before != file.fingerprint && !changed_too => {
                Err(file.changed_since(share.created_at))
            }
            _ => Ok(()),
        };
        Box::pin(self.share_if(ShareId::random(), request, None, is_same)).await
    }

    /// Shares a file of a watched folder, if it still is as it was seen.
    pub(crate) async fn share_watched(
        &self,
        id: ShareId,
        request: Request,
        folder: &str,
        place: &Place,
        seen: Fingerprint,
    ) -> Result<Shared> {
        let is_same = |found: &Found| match found {
            Found::File(file) if file.fingerprint == seen => Ok(()),
            Found::File(file) => Err(file.changed()),
            Found::Folder(folder) => Err(not_there(&folder.path)),
        };
        Box::pin(self.share_if(id, request, Some((folder, place)), is_same)).await
    }

    /// The same, if `may` has nothing against the file once it is open.
    async fn share_if(
        &self,
        id: ShareId,
        request: Request,
        watched: Option<(&str, &Place)>,
        may: impl FnOnce(&Found) -> Result<()>,
    ) -> Result<Shared> {
        if self.is_interrupted() {
            return Err(super::uploads::stopped());
        }
        let settings = self.settings()?;
        self.pacer.set_limit(settings.upload_limit());
        let label = super::name::label(request.label.as_deref())?;
        let expires = match request.expires {
            Some(expires) => expires,
            None => settings.default_expiry()?,
        };
        // A file that can't be read is told before anything is started or asked.
        let file = match &request.source {
            Source::File(path) if watched.is_some() => {
                Some(Found::open(path, OpenFile::open_directly).await?)
            }
            Source::File(path) => Some(Found::at(path).await?),
            Source::Stdin | Source::Bytes { .. } | Source::Object { .. } => None,
        };
        file.as_ref().map_or(Ok(()), may)?;
        if let Some(Found::Folder(folder)) = &file {
            self.tell_left_out(&id, folder);
        }
        let mut profile = self.profile(request.profile.as_deref()).await?;
        if let Source::Object { bucket, .. } = &request.source {
            profile = profile.in_bucket(bucket)?;
        }
        let bucket = self.bucket_for_upload(profile).await?;
        let name = super::name::clean_name(
            &request.name.clone().unwrap_or_else(|| request.source.own_name()),
        );
        let headers = self.headers(&id, &name, request.inline);
        let mut share = draft(id, &bucket, &request.source, file.as_ref(), name);
        share.label = label;
        share.folder = watched.map(|(folder, _)| folder.to_owned());

        if let Source::Object { .. } = &request.source {
            let object = bucket.head(&share.key).await?;
            (share.size, share.etag) = (object.size, Some(object.etag.clone()));
            self.history.add(&share).await?;
            let sent = Sent { size: object.size, etag: object.etag };
            return self.give_link(&bucket, share, sent, headers, expires).await;
        }
        let input = match (&request.source, file) {
            (_, Some(Found::File(file))) => Input::File(file),
            (_, Some(Found::Folder(folder))) => Input::Folder(folder),
            (Source::Bytes { bytes, .. }, _) => Input::Bytes(bytes.clone()),
            _ => Input::Stdin,
        };
        let upload = UploadRow {
            upload_id: None,
            part_size: input.part_size(),
            // Asked of the storage when the bytes are about to go.
            integrity: Integrity::Size,
            headers,
            seconds: expires.seconds(),
            said: None,
            trouble: None,
            owner: None,
        };
        // Intent first, then the bytes: a crash between leaves a row that says so.
        let place = watched.map(|(_, place)| place);
        let Some(lock) = self.history.intend(&share, &upload, place).await? else {
            return Err(renamed(&share));
        };
        // Large: on the heap.
        Box::pin(self.send(bucket, Owned { share, upload, lock, resumed: false }, input)).await
    }

    /// The object is there: its first link.
    pub(super) async fn give_link(
        &self,
        bucket: &Bucket,
        mut share: Share,
        sent: Sent,
        headers: Headers,
        expires: Expiry,
    ) -> Result<Shared> {
        (share.size, share.etag) = (sent.size, Some(sent.etag.clone()));
        tracing::debug!(share = %share.id, size = sent.size, etag = sent.etag, "the object is there");
        let (link, url) = loop {
            let signer = self.signer(bucket).await?;
            let mut link = self.sign(bucket, &signer, &share, expires)?;
            link.facts.disposition = Some(headers.disposition.clone());
            link.facts.content_type = Some(headers.content_type.clone());
            let url = link.facts.presign(&signer)?;
            crate::point::reach("before_link");
            // The key may have been switched off this moment.
            if self.history.uploaded(&share.id, sent.size, &sent.etag, &link).await? {
                break (link, url);
            }
        };
        self.keep_clock(bucket)?;
        share.links.push(link.clone());
        self.changed(&share.id);
        self.tell_reach(bucket, &share, &link);
        let state = share.state(bucket.clock().now());
        Ok(Shared { share, state, link, url })
    }

    pub(super) fn tell_left_out(&self, id: &ShareId, folder: &Folder) {
        let what = match folder.left_out {
            0 => return,
            1 => "One thing in the folder isn't packed: it is".to_owned(),
            count => format!("{count} things in the folder aren't packed: each is"),
        };
        self.notice(id, format!("{what} a link, a pipe or a device, and no file."));
    }

    fn headers(&self, id: &ShareId, name: &str, inline: bool) -> Headers {
        let (content_type, shows_safely) = content_type(name);
        if inline && !shows_safely {
            self.notice(
                id,
                format!("«{name}» isn't of a kind that a browser shows safely, so its link downloads it."),
            );
        }
        Headers { content_type, disposition: disposition(name, inline && shows_safely) }
    }

    /// A new link, cut to what the sign-in and the provider allow.
    fn sign(&self, bucket: &Bucket, signer: &Keys, share: &Share, expires: Expiry) -> Result<Link> {
        let now = bucket.clock().now();
        let (seconds, limited_by) = allowed(expires.seconds(), now, bucket.profile(), signer)?;
        let end = now + jiff::SignedDuration::from_secs(i64::from(seconds));
        match limited_by {
            Some(code @ Code::SignInEnds) => self.notice_of_share(
                &share.id,
                Some(code),
                format!(
                    "Your sign-in ends at {}; a link of {expires} would stop then.",
                    clock_time(end)
                ),
            ),
            Some(code @ Code::ProviderCap) => self.notice_of_share(
                &share.id,
                Some(code),
                format!(
                    "{} allows no longer link; it ends at {}.",
                    bucket.profile().provider.name,
                    clock_time(end)
                ),
            ),
            Some(code) => self.notice_of_share(
                &share.id,
                Some(code),
                "Your sign-in is temporary and doesn't say until when; the link may stop earlier."
                    .to_owned(),
            ),
            None => {}
        }
        let access_key = &signer.access_key;
        tracing::debug!(share = %share.id, access_key, seconds, %now, "signing a link");
        Ok(Link {
            row: 0,
            facts: LinkFacts::new(bucket.profile(), &share.key, access_key, now, seconds),
            limited_by,
            temporary: signer.temporary(),
            role: signer.role.clone(),
            checked: None,
            revoked_at: None,
        })
    }

    /// Where a link works is said before it is copied.
    fn tell_reach(&self, bucket: &Bucket, share: &Share, link: &Link) {
        let text = match Reach::of_link(bucket.profile(), link) {
            Reach::Anywhere => return,
            Reach::Computer if !bucket.profile().is_local() => "This link works only on this computer: its storage has an address that means another computer elsewhere.".to_owned(),
            Reach::Computer => "This link works only on this computer, while its store runs. To reach others, add a bucket: lapse profile add --help".to_owned(),
            Reach::Network => "This link works only in this local network, while this computer is in it. It isn't encrypted: who is in the network can read along.".to_owned(),
            Reach::Nowhere => format!(
                "This link names an address where the store doesn't listen any more, so it opens nowhere now. A new one: lapse extend {} --expires 1d",
                share.id
            ),
        };
        self.notice_of_share(&share.id, None, text);
    }

    /// The link of a share that is alive, made again from its facts.
    pub async fn link(&self, id: &ShareId) -> Result<Shared> {
        let (share, state, bucket) = self.alive(id).await?;
        let link = share.live_link(bucket.clock().now()).cloned();
        let link = link.ok_or_else(|| not_active(&share, &state))?;
        let access_key = &link.facts.access_key;
        let keys = match bucket.keys_named(access_key) {
            Some(keys) => keys.clone(),
            None => self.keys(bucket.profile(), Some(access_key)).await?,
        };
        let url = link.facts.presign(&keys)?;
        self.tell_reach(&bucket, &share, &link);
        Ok(Shared { share, state, link, url })
    }

    /// One more link to the same object. The old one keeps its end.
    pub async fn extend(&self, id: &ShareId, expires: Expiry) -> Result<Shared> {
        let (mut share, _, bucket) = self.alive(id).await?;
        bucket.head(&share.key).await?;
        let (link, url) = loop {
            let signer = self.signer(&bucket).await?;
            let mut link = self.sign(&bucket, &signer, &share, expires)?;
            if let Some(last) = share.links.last() {
                link.facts.disposition.clone_from(&last.facts.disposition);
                link.facts.content_type.clone_from(&last.facts.content_type);
            }
            let url = link.facts.presign(&signer)?;
            if self.history.add_link(&share.id, &link).await? {
                break (link, url);
            }
        };
        self.keep_clock(&bucket)?;
        share.links.push(link.clone());
        self.changed(&share.id);
        self.notice_of_share(
            &share.id,
            None,
            "This is a new link; the one given before keeps its end.",
        );
        self.tell_reach(&bucket, &share, &link);
        let state = share.state(bucket.clock().now());
        Ok(Shared { share, state, link, url })
    }

    async fn alive(&self, id: &ShareId) -> Result<(Share, State, Bucket)> {
        let share = self.find(id)?;
        let state = share.state(self.now_of(&share)?);
        if share.revoked_at.is_some() || !state.is_alive() {
            return Err(not_active(&share, &state));
        }
        let profile = self.profile(Some(&share.profile)).await?.in_bucket(&share.bucket)?;
        // Links of thousands may be wanted one after the other.
        let bucket = self.bucket_for_upload(profile).await?;
        Ok((share, state, bucket))
    }
}

fn draft(
    id: ShareId,
    bucket: &Bucket,
    source: &Source,
    file: Option<&Found>,
    name: String,
) -> Share {
    let profile = bucket.profile();
    let (key, origin) = match (source, file) {
        (Source::Object { key, .. }, _) => (key.clone(), Origin::Object),
        (_, Some(Found::Folder(folder))) => (
            object_key(&profile.prefix, &name),
            Origin::Folder { path: folder.path.clone(), fingerprint: folder.fingerprint },
        ),
        (_, Some(Found::File(file))) => (
            object_key(&profile.prefix, &name),
            Origin::File { path: file.path.clone(), fingerprint: file.fingerprint },
        ),
        _ => (object_key(&profile.prefix, &name), Origin::Stdin),
    };
    Share {
        id,
        profile: profile.name.clone(),
        bucket: profile.bucket.clone(),
        key,
        name,
        size: match (source, file) {
            (_, Some(Found::File(file))) => file.fingerprint.size,
            (_, Some(Found::Folder(folder))) => folder.fingerprint.size,
            (Source::Bytes { bytes, .. }, _) => bytes.len() as u64,
            _ => 0,
        },
        etag: None,
        origin,
        label: None,
        folder: None,
        created_at: bucket.clock().second(),
        failed: None,
        revoked_at: None,
        hidden: false,
        cleaned: false,
        links: Vec::new(),
        under_way: UnderWay::Yes,
        arrived: 0,
        trouble: None,
    }
}

/// Seconds that a link may live, and what cut it short.
pub(crate) fn allowed(
    asked: u32,
    now: Timestamp,
    profile: &Profile,
    signer: &Keys,
) -> Result<(u32, Option<Code>)> {
    let mut seconds = asked;
    let mut limited_by = None;
    let cap = u32::try_from(profile.provider.longest_link.as_secs()).unwrap_or(u32::MAX);
    if cap < seconds {
        (seconds, limited_by) = (cap, Some(Code::ProviderCap));
    }
    match signer.end {
        SignInEnd::Never => {}
        SignInEnd::Unknown => limited_by = limited_by.or(Some(Code::UnknownSignInEnd)),
        SignInEnd::At(end) => {
            let left = u32::try_from(end.as_second() - now.as_second()).unwrap_or(0);
            if left == 0 {
                return Err(Error::new(
                    Code::SignIn,
                    "your sign-in has ended",
                    "Sign in again with the AWS tools (for SSO: aws sso login), then try again.",
                ));
            }
            if left < seconds {
                (seconds, limited_by) = (left, Some(Code::SignInEnds));
            }
        }
    }
    Ok((seconds, limited_by))
}

/// A time of day as the person's clock shows it, with the date where it isn't today.
fn clock_time(at: Timestamp) -> String {
    let at = at.to_zoned_datetime(TimeZone::system());
    let today = Timestamp::now().to_zoned_datetime(TimeZone::system()).date();
    let format = if at.date() == today { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    at.strftime(format).to_string()
}

fn not_active(share: &Share, state: &State) -> Error {
    let what = match state {
        _ if share.revoked_at.is_some() => "was revoked".to_owned(),
        State::Expired => "has expired".to_owned(),
        State::Uploading | State::Paused => "is still being uploaded".to_owned(),
        State::Failed(reason) => format!("was never uploaded: {reason}"),
        State::Active | State::CutShort(_) | State::Revoked(_) | State::Unreachable(_) => {
            "has no link that lives".to_owned()
        }
    };
    Error::new(
        Code::NotActive,
        format!("the share {} {what}", share.id),
        "Share the file again for a new link.",
    )
}
