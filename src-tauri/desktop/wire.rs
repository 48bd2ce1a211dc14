//! What crosses between the shell and the page. `ui/src/bindings.ts` is made from these types.
//!
//! Times are milliseconds since 1970 by the storage's clock, sizes are bytes. No type here holds a path, and only
//! [`Link`] holds a link.

use lapse_core::storage::probe::Verdict;
use serde::{Deserialize, Serialize};
use ts_rs::TS;

/// What went wrong, in the person's words, and what to do.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Failure {
    /// The stable name, in lower snake case.
    pub code: String,
    /// What happened: one sentence without its full stop.
    pub message: String,
    /// What to do: a sentence or two.
    pub hint: String,
}

/// What is true of a share now.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum State {
    /// Bytes are being sent.
    Uploading,
    /// The upload waits until the person goes on.
    Paused,
    /// The upload ended before its time.
    Failed {
        /// Why, in a clause.
        reason: String,
    },
    /// The link lives.
    Active,
    /// The link lives, and ends earlier than was asked.
    CutShort {
        /// Why: `sign_in_ends` or `provider_cap`.
        why: String,
    },
    /// The time of all its links is over.
    Expired,
    /// Its object was deleted, and its links were seen to be refused.
    Revoked {
        /// When.
        at: f64,
    },
    /// Its time isn't over, but the last check found no way to the file.
    Unreachable {
        /// Why: `object_gone`, `key_off`, `refused`, `no_address` or `no_answer`.
        why: String,
    },
}

/// From where a link opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Reach {
    /// Wherever the storage is reached.
    Anywhere,
    /// On this computer, while its store runs.
    Computer,
    /// In this local network, unencrypted.
    Network,
    /// Nowhere now: it names an address where the store doesn't listen any more.
    Nowhere,
}

/// A row of the list.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Share {
    /// Names it.
    pub id: String,
    /// The file's own name. Untrusted text.
    pub name: String,
    /// Bytes.
    pub size: f64,
    /// The name of its profile.
    pub profile: String,
    /// What is true of it.
    pub state: State,
    /// Bytes of an upload that isn't over which the storage is known to have.
    pub arrived: f64,
    /// Why its upload waits.
    pub trouble: Option<String>,
    /// From where its link opens.
    pub reach: Reach,
    /// When it was made.
    pub created_at: f64,
    /// When the link that tells its state was signed.
    pub signed_at: Option<f64>,
    /// When that link ends.
    pub ends_at: Option<f64>,
    /// When the storage was last asked about it.
    pub checked_at: Option<f64>,
    /// How far the storage's clock is ahead of this computer's, in milliseconds.
    pub clock_ahead: f64,
    /// Whether the file it was made from is known, so that it can be shown, retried and shared again.
    pub has_file: bool,
    /// Whether Lapse may delete its object: false for one that was in the bucket before.
    pub revocable: bool,
    /// The other links that were given of it and still live.
    pub other_links: u32,
    /// What the person groups it by.
    pub label: Option<String>,
    /// The watched folder that it came from, with the home folder as `~`.
    pub folder: Option<String>,
}

/// A link, made again for the detail sheet. A secret.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Link {
    /// The link.
    pub url: String,
    /// The side of its QR code in modules; 0 when the link is too long for one.
    pub qr_side: u32,
    /// The code's dark modules as the `d` of an SVG path, on a grid of `qr_side`.
    pub qr_path: String,
    /// The bucket and the key of its object.
    pub object: String,
    /// The object's etag.
    pub etag: Option<String>,
    /// When Lapse deletes the object by itself, if it does.
    pub kept_until: Option<f64>,
}

/// A share whose storage was asked.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Checked {
    /// The share, as it is now.
    pub share: Share,
    /// What must be known: links that were ended elsewhere.
    pub notices: Vec<String>,
}

/// A link that was put on the clipboard, or couldn't be.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Copied {
    /// The share, as it is now.
    pub share: Share,
    /// Whether the link is on the clipboard.
    pub copied: bool,
    /// What must be known before it is used.
    pub notices: Vec<String>,
}

/// What was seen after a revoke.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Revoked {
    /// The share, as it is now.
    pub share: Share,
    /// Links that the storage was asked about.
    pub checked: u32,
    /// Those that it surely refuses.
    pub refused: u32,
    /// Whether the bucket keeps old versions of the object, which no link of Lapse opens.
    pub keeps_versions: bool,
}

/// Who may make users and keys: for one task, and not kept.
#[derive(Deserialize, TS)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum Admin {
    /// An access key.
    Key(NewKey),
    /// A profile of the AWS files.
    AwsProfile {
        /// Its name.
        name: String,
    },
    /// A token of Garage's admin API.
    Token {
        /// Where that listens.
        endpoint: String,
        /// The token.
        token: String,
    },
}

/// What switching off the key that signs a profile's links would do.
#[derive(Debug, Clone, Serialize, TS)]
pub struct AllLinks {
    /// The access key: not a secret.
    pub access_key: String,
    /// The shares whose links end, the newest first.
    pub shares: Vec<Share>,
    /// Links of the profile by earlier keys, which stay.
    pub others: u32,
    /// Whether Lapse made the key, so that no other program uses it.
    pub is_own: bool,
    /// When the key was last used, where that is told.
    pub last_used: Option<f64>,
    /// What for: `s3`, `iam`, …
    pub last_service: Option<String>,
    /// Whether only a person can make the new key and switch the old one off.
    pub by_hand: bool,
    /// The role by whose sessions links are signed: all its sessions end, whoever uses it.
    pub role: Option<String>,
}

/// An access key that the person types in.
#[derive(Deserialize, TS)]
pub struct NewKey {
    /// Its id.
    pub access_key: String,
    /// Its secret.
    pub secret: String,
}

/// What a rotation has just done.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum RotationStep {
    /// A new key was made.
    Made,
    /// Its secret is kept.
    Stored,
    /// The storage accepts it.
    Works,
    /// It signs from now on.
    Signed {
        /// Links that were signed again.
        kept: u32,
    },
    /// The old key is switched off.
    Off,
    /// The person must switch this key off now, at the provider's site.
    ByHand {
        /// Its id.
        access_key: String,
    },
    /// The storage was asked with the old links.
    Asked {
        /// How many.
        checked: u32,
        /// Those that it surely refuses.
        refused: u32,
        /// In how many milliseconds those that it doesn't are asked again; `None`: not any more for now.
        again_in: Option<f64>,
    },
    /// The old key is deleted.
    Deleted,
    /// Keys that may be left of a rotation that was cut off.
    Left {
        /// Their ids.
        access_keys: Vec<String>,
    },
}

/// What a rotation came to.
#[derive(Debug, Clone, Serialize, TS)]
pub struct AllRevoked {
    /// Old links that the storage was asked about.
    pub checked: u32,
    /// Those that it surely refuses.
    pub refused: u32,
    /// Old links that can't be asked: what signed them isn't kept.
    pub unasked: u32,
    /// The shares with new links.
    pub kept: Vec<Share>,
    /// The key that was switched off.
    pub old_key: String,
    /// Whether that is seen.
    pub is_off: bool,
    /// Whether it can be switched on again, for 7 days.
    pub is_restorable: bool,
}

/// How far an upload is.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Progress {
    /// The share.
    pub id: String,
    /// Bytes that the storage has taken.
    pub sent: f64,
    /// All bytes, where that is known (a folder's archive isn't until it is packed).
    pub total: Option<f64>,
    /// Bytes a second, smoothed.
    pub rate: f64,
}

/// A watched folder.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Folder {
    /// Names it to the shell.
    pub id: u32,
    /// Where it is, with the home folder as `~`.
    pub path: String,
    /// Whether new files in it are shared now.
    pub state: FolderState,
    /// Why not, or why only now and then.
    pub trouble: Option<String>,
    /// Files that were shared.
    pub shared: u32,
    /// Files that wait.
    pub waiting: u32,
    /// Files that couldn't be shared.
    pub failed: Vec<FailedFile>,
    /// When the last was shared, in milliseconds since 1970.
    pub last_at: Option<f64>,
    /// How long its links live; the preference where nothing is said.
    pub expires: Option<String>,
    /// Whether the newest link is copied.
    pub copy: bool,
    /// Names that are left alone.
    pub ignore: Vec<String>,
    /// Whether the folders in it are looked into.
    pub recursive: bool,
}

/// How a watched folder goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum FolderState {
    /// New files are shared.
    Watching,
    /// The person lets it wait.
    Paused,
    /// It isn't there.
    Away,
    /// Another folder or disk is at its place.
    Replaced,
    /// Its disk doesn't answer.
    Silent,
    /// Nobody watches it just now.
    Waits,
}

/// A file of a watched folder that couldn't be shared.
#[derive(Debug, Clone, Serialize, TS)]
pub struct FailedFile {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: String,
}

/// What is chosen anew for a watched folder; the rest stays.
#[derive(Debug, Clone, Deserialize, TS)]
pub struct FolderChoice {
    /// How long its links live.
    pub expires: Option<String>,
    /// Whether the newest link is copied.
    pub copy: Option<bool>,
    /// Names that are left alone.
    pub ignore: Option<Vec<String>>,
    /// Whether the folders in it are looked into.
    pub recursive: Option<bool>,
    /// Whether it waits from now on.
    pub paused: Option<bool>,
}

/// What happened, told to the page as it happens.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Change {
    /// Files are held over the window.
    DragOver {
        /// The name of the first; `None` when what is held isn't a file.
        name: Option<String>,
        /// Its size, where it is a file.
        size: Option<f64>,
        /// How many are held.
        count: u32,
    },
    /// They left, or were let go.
    DragOut,
    /// These shares are new or changed.
    Shares {
        /// As they are now.
        shares: Vec<Share>,
        /// The ids of those that aren't in the list any more.
        gone: Vec<String>,
    },
    /// The whole list changed, in another program perhaps: ask for it again.
    List,
    /// Files that wait for their turn.
    Waiting {
        /// How many.
        count: u32,
    },
    /// What was dropped together has links now.
    Shared {
        /// The shares, the newest last.
        ids: Vec<String>,
        /// Whether their links are on the clipboard.
        copied: bool,
        /// What must be known before they are used.
        notices: Vec<String>,
        /// Whether the window is out of sight.
        hidden: bool,
    },
    /// A link was copied from the tray.
    Copied {
        /// The share.
        id: String,
        /// Whether its link is on the clipboard.
        copied: bool,
        /// What must be known before it is used.
        notices: Vec<String>,
        /// Whether the window is out of sight.
        hidden: bool,
    },
    /// Something that was dropped, chosen or pasted wasn't shared.
    NotShared {
        /// Its name.
        name: String,
        /// Why.
        failure: Failure,
        /// Whether the window is out of sight.
        hidden: bool,
    },
    /// What is known of watched folders changed: ask for them again.
    Folders,
    /// All that waited in a watched folder is shared.
    FolderShared {
        /// The folder's own name.
        name: String,
        /// How many files.
        count: u32,
        /// The newest share.
        id: String,
        /// Whether its link is on the clipboard.
        copied: bool,
        /// Whether the window is out of sight.
        hidden: bool,
    },
    /// A step of a rotation is done.
    Rotated {
        /// Which.
        step: RotationStep,
    },
    /// Profiles, preferences or the store changed: ask for them again.
    Settings,
    /// Show this screen.
    Open {
        /// Which: `settings`, `share` with the id in `id`, `search`.
        screen: Screen,
        /// The share that is meant.
        id: Option<String>,
    },
    /// The person wants to quit, and this speaks against it: answer with `quit`.
    QuitAsked {
        /// Uploads under way.
        uploads: u32,
        /// Files that wait for their turn.
        waiting: u32,
        /// Links that stop when nobody hosts the local store.
        local_links: u32,
        /// Whether a process in the background can go on with these.
        can_keep: bool,
    },
    /// The window was closed for the first time and Lapse stays in the tray: say so.
    Hidden,
}

/// The tray's menu, in the page's words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, TS)]
pub struct Tray {
    /// «Share a file…».
    pub share: String,
    /// «Open Lapse».
    pub open: String,
    /// «Quit Lapse».
    pub quit: String,
    /// Shares whose link can be copied from there, the newest first.
    pub recent: Vec<Recent>,
}

/// A line of the tray's menu that copies a link.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, TS)]
pub struct Recent {
    /// The share.
    pub id: String,
    /// What the line says.
    pub label: String,
}

/// A screen that the shell can ask for.
#[derive(Debug, Clone, Copy, Serialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Screen {
    /// The list.
    List,
    /// A share's detail sheet.
    Share,
    /// Settings.
    Settings,
    /// The search field.
    Search,
}

/// How to quit when something speaks against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, TS)]
#[serde(rename_all = "snake_case")]
pub enum Quit {
    /// Stay.
    Stay,
    /// Stop uploads; a process in the background keeps serving local links.
    KeepLinks,
    /// Stop uploads and local links.
    StopAll,
}

/// A provider's card.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Provider {
    /// Names it.
    pub id: String,
    /// The name that people know.
    pub name: String,
    /// The endpoint, with `{region}` in it; `None` where each has its own.
    pub endpoint: Option<String>,
    /// The region where the provider has just one, or most use one.
    pub region: Option<String>,
    /// Whether the bucket stands in the path.
    pub path_style: bool,
    /// Whether others can send files in with a size limit.
    pub post_form: bool,
    /// Whether all links can be revoked from here: `here` or `by_hand`.
    pub rotation: String,
}

/// What a profile is made of. It holds no secret.
#[derive(Debug, Clone, Serialize, Deserialize, TS)]
pub struct Draft {
    /// What the person calls it.
    pub name: String,
    /// A provider's id.
    pub provider: String,
    /// The endpoint; `None`: the provider's own.
    pub endpoint: Option<String>,
    /// The region; `None`: the provider's own.
    pub region: Option<String>,
    /// The bucket.
    pub bucket: String,
    /// What object keys begin with.
    pub prefix: Option<String>,
    /// Bucket in the path; `None`: as the provider likes it.
    pub path_style: Option<bool>,
    /// Who signs.
    pub sign_in: SignIn,
    /// When ended objects are deleted: `never`, `at_end`, `7d` or `30d`.
    pub clean_up: Option<String>,
}

/// Who signs.
#[derive(Debug, Clone, Serialize, Deserialize, TS)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum SignIn {
    /// An access key; its secret goes to the keychain.
    AccessKey {
        /// The access key's id: not a secret.
        id: String,
    },
    /// A profile of the AWS files.
    AwsProfile {
        /// Its name.
        name: String,
    },
    /// What the AWS tools would take.
    AwsDefault,
}

/// A profile of the list.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Profile {
    /// Its name; `local` is the store on this computer.
    pub name: String,
    /// The name of its provider.
    pub provider: String,
    /// The bucket; empty for the local store before its first start.
    pub bucket: String,
    /// Whether new shares go there.
    pub current: bool,
    /// Whether it is the store on this computer.
    pub local: bool,
    /// From where its links open.
    pub reach: Reach,
    /// Links of it that live.
    pub live_links: u32,
    /// When it was last checked.
    pub checked_at: Option<f64>,
    /// Whether that check found something that links can't do without.
    pub failing: bool,
    /// The access key's id, where it signs in with one.
    pub access_key: Option<String>,
    /// The access key of the user that Lapse made to sign its links.
    pub signer: Option<String>,
    /// By what Lapse can make such a user: `key` or `token`; none where it can't, or has.
    pub signer_by: Option<String>,
    /// Whether all its links can be revoked from here: `here`, or `by_hand` with a key that the person makes.
    pub rotation: String,
}

/// One line of a storage check.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Finding {
    /// What was tried, in lower snake case.
    pub name: String,
    /// How it turned out.
    #[ts(type = "\"pass\" | \"warn\" | \"fail\"")]
    pub verdict: Verdict,
    /// One sentence for a person.
    pub text: String,
}

/// The local store.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Store {
    /// Whether a process hosts it.
    pub running: bool,
    /// The network's interface where it is to listen; `None`: this computer only.
    pub lan_interface: Option<String>,
    /// The address in that network that links carry now.
    pub lan: Option<String>,
    /// Whether it left the network because that changed.
    pub lan_ended: bool,
    /// The interfaces where it could listen.
    pub interfaces: Vec<Interface>,
    /// Links that live.
    pub live_links: u32,
    /// Bytes in it.
    pub bytes: f64,
}

/// An interface of this computer in a private network.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
}

/// Where secrets are kept now.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Keychain {
    /// `system`, `this_run` or `passphrase_file`.
    pub kind: String,
    /// `open`, `locked`, `absent` or `failed`.
    pub state: String,
    /// Profiles whose secrets it holds.
    pub profiles: u32,
    /// Why, when it isn't open.
    pub failure: Option<Failure>,
    /// Whether a passphrase file is there already, so that its own passphrase is asked for.
    pub has_passphrase_file: bool,
}

/// What the person chose. The default is what a page draws itself with before that is known.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own in the settings")]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, TS)]
pub struct Preferences {
    /// How long new links live, as a number and a unit: `1h`, `1d`, `7d`.
    pub expires: String,
    /// Whether a new link goes to the clipboard.
    pub copy_links: bool,
    /// Whether links made while the window is hidden are told.
    pub notifications: bool,
    /// Whether closing the window keeps Lapse in the tray.
    pub close_to_tray: bool,
    /// Whether Lapse starts at login.
    pub start_at_login: bool,
    /// `system`, `light` or `dark`.
    pub theme: String,
    /// A language's tag; `system`: the system's.
    pub language: String,
    /// Bytes a second that uploads may take together; `None`: no limit.
    pub upload_limit: Option<f64>,
    /// The zoom of the page: 1 is its own size.
    pub zoom: f64,
}

/// What the page needs to draw itself at the start.
#[derive(Debug, Clone, Serialize, TS)]
pub struct Start {
    /// The version of Lapse.
    pub version: String,
    /// `linux`, `macos` or `windows`.
    pub platform: String,
    /// What the person chose.
    pub preferences: Preferences,
    /// The profiles, the local store first.
    pub profiles: Vec<Profile>,
    /// The newest shares that aren't cleared away, more than a window shows at once.
    pub shares: Vec<Share>,
    /// Whether `shares` gives more than these.
    pub more: bool,
    /// Why Lapse can't work, when it can't: a newer database, a broken config.toml, a full disk.
    pub problem: Option<Failure>,
    /// Where the list and the settings are kept, for a person to read.
    pub data_folder: String,
    /// The size of that, in bytes.
    pub data_size: f64,
}
