//! Making a share and its links.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{
    Expiry, Link, OpenFile, Origin, Share, ShareId, Source, State, content_type, disposition,
    object_key,
};
use crate::event::Event;
use crate::history::UploadLock;
use crate::keychain::Sensitive;
use crate::lapse::Lapse;
use crate::storage::{Bucket, Headers, Keys, LinkFacts, SignInEnd};
use crate::transfer::{self, Sent};
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
        let settings = self.settings()?;
        let expires = match request.expires {
            Some(expires) => expires,
            None => settings.default_expiry()?,
        };
        // A file that can't be read is told before anything is started or asked.
        let mut file = match &request.source {
            Source::File(path) => Some(OpenFile::open(path)?),
            Source::Stdin | Source::Object { .. } => None,
        };
        let mut profile = self.profile(request.profile.as_deref()).await?;
        if let Source::Object { bucket, .. } = &request.source {
            profile = profile.in_bucket(bucket)?;
        }
        let bucket = self.bucket(profile).await?;
        let name = super::name::clean_name(
            &request.name.clone().unwrap_or_else(|| request.source.own_name()),
        );
        let headers = self.headers(&name, request.inline);
        let mut share = draft(&bucket, &request.source, file.as_ref(), name);

        let (sent, _lock) = match &request.source {
            Source::Object { .. } => {
                let object = bucket.head(&share.key).await?;
                (share.size, share.etag) = (object.size, Some(object.etag.clone()));
                self.history.add(&share)?;
                (Sent { size: object.size, etag: object.etag }, None)
            }
            Source::File(_) | Source::Stdin => {
                let (sent, lock) =
                    self.upload(&bucket, &mut share, file.as_mut(), &headers).await?;
                (sent, Some(lock))
            }
        };
        (share.size, share.etag) = (sent.size, Some(sent.etag.clone()));
        tracing::debug!(share = %share.id, size = sent.size, etag = sent.etag, "the object is there");

        let mut link = self.sign(&bucket, &share, expires)?;
        link.facts.disposition = Some(headers.disposition);
        link.facts.content_type = Some(headers.content_type);
        let url = link.facts.presign(bucket.keys())?;
        self.history.uploaded(&share.id, sent.size, &sent.etag, &link)?;
        self.keep_clock(&bucket)?;
        share.links.push(link.clone());
        self.tell_reach(&bucket, &share, &link);
        let state = share.state(bucket.clock().now());
        Ok(Shared { share, state, link, url })
    }

    fn headers(&self, name: &str, inline: bool) -> Headers {
        let (content_type, shows_safely) = content_type(name);
        if inline && !shows_safely {
            self.notice(
                None,
                format!("«{name}» isn't of a kind that a browser shows safely, so its link downloads it."),
            );
        }
        Headers { content_type, disposition: disposition(name, inline && shows_safely) }
    }

    /// Intent first, then the bytes: a crash between leaves a row that says so.
    async fn upload(
        &self,
        bucket: &Bucket,
        share: &mut Share,
        file: Option<&mut OpenFile>,
        headers: &Headers,
    ) -> Result<(Sent, UploadLock)> {
        let lock = self.history.own_upload(&share.id)?;
        self.history.add(share)?;
        let sent = self.send(bucket, share, file, headers).await;
        self.sink.emit(Event::UploadEnded);
        if let Err(error) = &sent {
            // The whole object may have arrived all the same: with bytes of before and after, or unwanted.
            if matches!(error.code, Code::FileChanged | Code::Interrupted)
                && let Err(error) = bucket.delete(&share.key).await
            {
                tracing::warn!(share = %share.id, code = error.code.as_str(), "a failed upload may have left its object");
            }
            self.history.set_failed(&share.id, &error.message)?;
        }
        Ok((sent?, lock))
    }

    async fn send(
        &self,
        bucket: &Bucket,
        share: &Share,
        file: Option<&mut OpenFile>,
        headers: &Headers,
    ) -> Result<Sent> {
        if bucket.profile().provider.makes_buckets {
            bucket.check_exists().await?;
        }
        let size = file.as_ref().map(|file| file.fingerprint.size);
        self.sink.emit(Event::UploadStarted { name: &share.name, size });
        match file {
            Some(file) => {
                transfer::send_file(
                    bucket,
                    &share.key,
                    headers,
                    file,
                    &self.sink,
                    self.interrupted(),
                )
                .await
            }
            None => {
                transfer::send_stream(
                    bucket,
                    &share.key,
                    headers,
                    &mut tokio::io::stdin(),
                    &self.sink,
                    self.interrupted(),
                )
                .await
            }
        }
    }

    /// A new link, cut to what the sign-in and the provider allow.
    fn sign(&self, bucket: &Bucket, share: &Share, expires: Expiry) -> Result<Link> {
        let now = bucket.clock().now();
        let (seconds, limited_by) = allowed(expires, now, bucket)?;
        let end = now + jiff::SignedDuration::from_secs(i64::from(seconds));
        match limited_by {
            Some(code @ Code::SignInEnds) => self.notice(
                Some(code),
                format!(
                    "Your sign-in ends at {}; a link of {expires} would stop then.",
                    clock_time(end)
                ),
            ),
            Some(code @ Code::ProviderCap) => self.notice(
                Some(code),
                format!(
                    "{} allows no longer link; it ends at {}.",
                    bucket.profile().provider.name,
                    clock_time(end)
                ),
            ),
            Some(code) => self.notice(
                Some(code),
                "Your sign-in is temporary and doesn't say until when; the link may stop earlier."
                    .to_owned(),
            ),
            None => {}
        }
        let Keys { access_key, .. } = bucket.keys();
        tracing::debug!(share = %share.id, access_key, seconds, %now, "signing a link");
        Ok(Link {
            row: 0,
            facts: LinkFacts::new(bucket.profile(), &share.key, access_key, now, seconds),
            limited_by,
            temporary: bucket.keys().temporary(),
            checked: None,
        })
    }

    /// Where a link works is said before it is copied.
    fn tell_reach(&self, bucket: &Bucket, share: &Share, link: &Link) {
        let (profile, host) = (bucket.profile(), &link.facts.host);
        if !profile.is_local() {
            return;
        }
        let text = if *host == profile.endpoint.authority {
            "This link works only on this computer, while its store runs. To reach others, add a bucket: lapse profile add --help".to_owned()
        } else if profile.answers_at(host) {
            "This link works only in this local network, while this computer is in it. It isn't encrypted: who is in the network can read along.".to_owned()
        } else {
            format!(
                "This link names an address where the store doesn't listen any more, so it opens nowhere now. A new one: lapse extend {} --expires 1d",
                share.id
            )
        };
        self.notice(None, text);
    }

    /// The link of a share that is alive, made again from its facts.
    pub async fn link(&self, id: &ShareId) -> Result<Shared> {
        let (share, state, bucket) = self.alive(id).await?;
        let link = share.live_link(bucket.clock().now()).cloned();
        let link = link.ok_or_else(|| not_active(&share, &state))?;
        let keys = self.keys(bucket.profile(), Some(&link.facts.access_key)).await?;
        let url = link.facts.presign(&keys)?;
        self.tell_reach(&bucket, &share, &link);
        Ok(Shared { share, state, link, url })
    }

    /// One more link to the same object. The old one keeps its end.
    pub async fn extend(&self, id: &ShareId, expires: Expiry) -> Result<Shared> {
        let (mut share, _, bucket) = self.alive(id).await?;
        bucket.head(&share.key).await?;
        let mut link = self.sign(&bucket, &share, expires)?;
        if let Some(last) = share.links.last() {
            link.facts.disposition.clone_from(&last.facts.disposition);
            link.facts.content_type.clone_from(&last.facts.content_type);
        }
        let url = link.facts.presign(bucket.keys())?;
        self.history.add_link(&share.id, &link)?;
        self.keep_clock(&bucket)?;
        share.links.push(link.clone());
        self.notice(None, "This is a new link; the one given before keeps its end.");
        self.tell_reach(&bucket, &share, &link);
        let state = share.state(bucket.clock().now());
        Ok(Shared { share, state, link, url })
    }

    async fn alive(&self, id: &ShareId) -> Result<(Share, State, Bucket)> {
        let share = self.history.find(id)?;
        let state = share.state(self.now_of(&share)?);
        if share.revoked_at.is_some() || !state.is_alive() {
            return Err(not_active(&share, &state));
        }
        let bucket = self.bucket_of(&share).await?;
        Ok((share, state, bucket))
    }
}

fn draft(bucket: &Bucket, source: &Source, file: Option<&OpenFile>, name: String) -> Share {
    let profile = bucket.profile();
    let (key, origin) = match (source, file) {
        (Source::Object { key, .. }, _) => (key.clone(), Origin::Object),
        (_, Some(file)) => (
            object_key(&profile.prefix, &name),
            Origin::File { path: file.path.clone(), fingerprint: file.fingerprint },
        ),
        _ => (object_key(&profile.prefix, &name), Origin::Stdin),
    };
    Share {
        id: ShareId::random(),
        profile: profile.name.clone(),
        bucket: profile.bucket.clone(),
        key,
        name,
        size: file.map_or(0, |file| file.fingerprint.size),
        etag: None,
        origin,
        created_at: Timestamp::from_second(bucket.clock().now().as_second()).unwrap_or_default(),
        failed: None,
        revoked_at: None,
        links: Vec::new(),
        under_way: true,
    }
}

/// Seconds that a link may live, and what cut it short.
fn allowed(asked: Expiry, now: Timestamp, bucket: &Bucket) -> Result<(u32, Option<Code>)> {
    let mut seconds = asked.seconds();
    let mut limited_by = None;
    let cap = u32::try_from(bucket.profile().provider.longest_link.as_secs()).unwrap_or(u32::MAX);
    if cap < seconds {
        (seconds, limited_by) = (cap, Some(Code::ProviderCap));
    }
    match bucket.keys().end {
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
        State::Uploading => "is still being uploaded".to_owned(),
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
