// Made from src-tauri/desktop/wire.rs by `make bindings`.

export type Failure = { 
/**
 * The stable name, in lower snake case.
 */
code: string, 
/**
 * What happened: one sentence without its full stop.
 */
message: string, 
/**
 * What to do: a sentence or two.
 */
hint: string, };

export type State = { "is": "uploading" } | { "is": "paused" } | { "is": "failed", 
/**
 * Why, in a clause.
 */
reason: string, } | { "is": "active" } | { "is": "cut_short", 
/**
 * Why: `sign_in_ends` or `provider_cap`.
 */
why: string, } | { "is": "expired" } | { "is": "revoked", 
/**
 * When.
 */
at: number, } | { "is": "unreachable", 
/**
 * Why: `object_gone`, `key_off`, `refused`, `no_address` or `no_answer`.
 */
why: string, };

export type Reach = "anywhere" | "computer" | "network" | "nowhere";

export type Share = { 
/**
 * Names it.
 */
id: string, 
/**
 * The file's own name. Untrusted text.
 */
name: string, 
/**
 * Bytes.
 */
size: number, 
/**
 * The name of its profile.
 */
profile: string, 
/**
 * What is true of it.
 */
state: State, 
/**
 * Bytes of an upload that isn't over which the storage is known to have.
 */
arrived: number, 
/**
 * Why its upload waits.
 */
trouble: string | null, 
/**
 * From where its link opens.
 */
reach: Reach, 
/**
 * When it was made.
 */
created_at: number, 
/**
 * When the link that tells its state was signed.
 */
signed_at: number | null, 
/**
 * When that link ends.
 */
ends_at: number | null, 
/**
 * When the storage was last asked about it.
 */
checked_at: number | null, 
/**
 * How far the storage's clock is ahead of this computer's, in milliseconds.
 */
clock_ahead: number, 
/**
 * Whether the file it was made from is known, so that it can be shown, retried and shared again.
 */
has_file: boolean, 
/**
 * Whether Lapse may delete its object: false for one that was in the bucket before.
 */
revocable: boolean, 
/**
 * The other links that were given of it and still live.
 */
other_links: number, 
/**
 * What the person groups it by.
 */
label: string | null, 
/**
 * The watched folder that it came from, with the home folder as `~`.
 */
folder: string | null, };

export type Link = { 
/**
 * The link.
 */
url: string, 
/**
 * The side of its QR code in modules; 0 when the link is too long for one.
 */
qr_side: number, 
/**
 * The code's dark modules as the `d` of an SVG path, on a grid of `qr_side`.
 */
qr_path: string, 
/**
 * The bucket and the key of its object.
 */
object: string, 
/**
 * The object's etag.
 */
etag: string | null, 
/**
 * When Lapse deletes the object by itself, if it does.
 */
kept_until: number | null, };

export type Copied = { 
/**
 * The share, as it is now.
 */
share: Share, 
/**
 * Whether the link is on the clipboard.
 */
copied: boolean, 
/**
 * What must be known before it is used.
 */
notices: Array<string>, };

export type Revoked = { 
/**
 * The share, as it is now.
 */
share: Share, 
/**
 * Links that the storage was asked about.
 */
checked: number, 
/**
 * Those that it surely refuses.
 */
refused: number, 
/**
 * Whether the bucket keeps old versions of the object, which no link of Lapse opens.
 */
keeps_versions: boolean, };

export type AllLinks = { 
/**
 * The access key: not a secret.
 */
access_key: string, 
/**
 * The shares whose links end, the newest first.
 */
shares: Array<Share>, 
/**
 * Links of the profile by earlier keys, which stay.
 */
others: number, 
/**
 * Whether Lapse made the key, so that no other program uses it.
 */
is_own: boolean, 
/**
 * When the key was last used, where that is told.
 */
last_used: number | null, 
/**
 * What for: `s3`, `iam`, …
 */
last_service: string | null, 
/**
 * Whether only a person can make the new key and switch the old one off.
 */
by_hand: boolean, 
/**
 * The role by whose sessions links are signed: all its sessions end, whoever uses it.
 */
role: string | null, };

export type NewKey = { 
/**
 * Its id.
 */
access_key: string, 
/**
 * Its secret.
 */
secret: string, };

export type Admin = { "by": "key" } & NewKey | { "by": "aws_profile", 
/**
 * Its name.
 */
name: string, } | { "by": "token", 
/**
 * Where that listens.
 */
endpoint: string, 
/**
 * The token.
 */
token: string, };

export type Checked = { 
/**
 * The share, as it is now.
 */
share: Share, 
/**
 * What must be known: links that were ended elsewhere.
 */
notices: Array<string>, };

export type Folder = { 
/**
 * Names it to the shell.
 */
id: number, 
/**
 * Where it is, with the home folder as `~`.
 */
path: string, 
/**
 * Whether new files in it are shared now.
 */
state: FolderState, 
/**
 * Why not, or why only now and then.
 */
trouble: string | null, 
/**
 * Files that were shared.
 */
shared: number, 
/**
 * Files that wait.
 */
waiting: number, 
/**
 * Files that couldn't be shared.
 */
failed: Array<FailedFile>, 
/**
 * When the last was shared, in milliseconds since 1970.
 */
last_at: number | null, 
/**
 * How long its links live; the preference where nothing is said.
 */
expires: string | null, 
/**
 * Whether the newest link is copied.
 */
copy: boolean, 
/**
 * Names that are left alone.
 */
ignore: Array<string>, 
/**
 * Whether the folders in it are looked into.
 */
recursive: boolean, };

export type FolderState = "watching" | "paused" | "away" | "replaced" | "silent" | "waits";

export type FailedFile = { 
/**
 * Its name.
 */
name: string, 
/**
 * Why.
 */
why: string, };

export type FolderChoice = { 
/**
 * How long its links live.
 */
expires: string | null, 
/**
 * Whether the newest link is copied.
 */
copy: boolean | null, 
/**
 * Names that are left alone.
 */
ignore: Array<string> | null, 
/**
 * Whether the folders in it are looked into.
 */
recursive: boolean | null, 
/**
 * Whether it waits from now on.
 */
paused: boolean | null, };

export type RotationStep = { "is": "made" } | { "is": "stored" } | { "is": "works" } | { "is": "signed", 
/**
 * Links that were signed again.
 */
kept: number, } | { "is": "off" } | { "is": "by_hand", 
/**
 * Its id.
 */
access_key: string, } | { "is": "asked", 
/**
 * How many.
 */
checked: number, 
/**
 * Those that it surely refuses.
 */
refused: number, 
/**
 * In how many milliseconds those that it doesn't are asked again; `None`: not any more for now.
 */
again_in: number | null, } | { "is": "deleted" } | { "is": "left", 
/**
 * Their ids.
 */
access_keys: Array<string>, };

export type AllRevoked = { 
/**
 * Old links that the storage was asked about.
 */
checked: number, 
/**
 * Those that it surely refuses.
 */
refused: number, 
/**
 * Old links that can't be asked: what signed them isn't kept.
 */
unasked: number, 
/**
 * The shares with new links.
 */
kept: Array<Share>, 
/**
 * The key that was switched off.
 */
old_key: string, 
/**
 * Whether that is seen.
 */
is_off: boolean, 
/**
 * Whether it can be switched on again, for 7 days.
 */
is_restorable: boolean, };

export type Progress = { 
/**
 * The share.
 */
id: string, 
/**
 * Bytes that the storage has taken.
 */
sent: number, 
/**
 * All bytes, where that is known (a folder's archive isn't until it is packed).
 */
total: number | null, 
/**
 * Bytes a second, smoothed.
 */
rate: number, };

export type Change = { "is": "drag_over", 
/**
 * The name of the first; `None` when what is held isn't a file.
 */
name: string | null, 
/**
 * Its size, where it is a file.
 */
size: number | null, 
/**
 * How many are held.
 */
count: number, } | { "is": "drag_out" } | { "is": "shares", 
/**
 * As they are now.
 */
shares: Array<Share>, 
/**
 * The ids of those that aren't in the list any more.
 */
gone: Array<string>, } | { "is": "list" } | { "is": "waiting", 
/**
 * How many.
 */
count: number, } | { "is": "shared", 
/**
 * The shares, the newest last.
 */
ids: Array<string>, 
/**
 * Whether their links are on the clipboard.
 */
copied: boolean, 
/**
 * What must be known before they are used.
 */
notices: Array<string>, 
/**
 * Whether the window is out of sight.
 */
hidden: boolean, } | { "is": "copied", 
/**
 * The share.
 */
id: string, 
/**
 * Whether its link is on the clipboard.
 */
copied: boolean, 
/**
 * What must be known before it is used.
 */
notices: Array<string>, 
/**
 * Whether the window is out of sight.
 */
hidden: boolean, } | { "is": "not_shared", 
/**
 * Its name.
 */
name: string, 
/**
 * Why.
 */
failure: Failure, 
/**
 * Whether the window is out of sight.
 */
hidden: boolean, } | { "is": "folders" } | { "is": "folder_shared", 
/**
 * The folder's own name.
 */
name: string, 
/**
 * How many files.
 */
count: number, 
/**
 * The newest share.
 */
id: string, 
/**
 * Whether its link is on the clipboard.
 */
copied: boolean, 
/**
 * Whether the window is out of sight.
 */
hidden: boolean, } | { "is": "rotated", 
/**
 * Which.
 */
step: RotationStep, } | { "is": "settings" } | { "is": "open", 
/**
 * Which: `settings`, `share` with the id in `id`, `search`.
 */
screen: Screen, 
/**
 * The share that is meant.
 */
id: string | null, } | { "is": "quit_asked", 
/**
 * Uploads under way.
 */
uploads: number, 
/**
 * Files that wait for their turn.
 */
waiting: number, 
/**
 * Links that stop when nobody hosts the local store.
 */
local_links: number, 
/**
 * Whether a process in the background can go on with these.
 */
can_keep: boolean, } | { "is": "hidden" };

export type Tray = { 
/**
 * «Share a file…».
 */
share: string, 
/**
 * «Open Lapse».
 */
open: string, 
/**
 * «Quit Lapse».
 */
quit: string, 
/**
 * Shares whose link can be copied from there, the newest first.
 */
recent: Array<Recent>, };

export type Recent = { 
/**
 * The share.
 */
id: string, 
/**
 * What the line says.
 */
label: string, };

export type Screen = "list" | "share" | "settings" | "search";

export type Quit = "stay" | "keep_links" | "stop_all";

export type Provider = { 
/**
 * Names it.
 */
id: string, 
/**
 * The name that people know.
 */
name: string, 
/**
 * The endpoint, with `{region}` in it; `None` where each has its own.
 */
endpoint: string | null, 
/**
 * The region where the provider has just one, or most use one.
 */
region: string | null, 
/**
 * Whether the bucket stands in the path.
 */
path_style: boolean, 
/**
 * Whether others can send files in with a size limit.
 */
post_form: boolean, 
/**
 * Whether all links can be revoked from here: `here` or `by_hand`.
 */
rotation: string, };

export type Draft = { 
/**
 * What the person calls it.
 */
name: string, 
/**
 * A provider's id.
 */
provider: string, 
/**
 * The endpoint; `None`: the provider's own.
 */
endpoint: string | null, 
/**
 * The region; `None`: the provider's own.
 */
region: string | null, 
/**
 * The bucket.
 */
bucket: string, 
/**
 * What object keys begin with.
 */
prefix: string | null, 
/**
 * Bucket in the path; `None`: as the provider likes it.
 */
path_style: boolean | null, 
/**
 * Who signs.
 */
sign_in: SignIn, 
/**
 * When ended objects are deleted: `never`, `at_end`, `7d` or `30d`.
 */
clean_up: string | null, };

export type SignIn = { "by": "access_key", 
/**
 * The access key's id: not a secret.
 */
id: string, } | { "by": "aws_profile", 
/**
 * Its name.
 */
name: string, } | { "by": "aws_default" };

export type Profile = { 
/**
 * Its name; `local` is the store on this computer.
 */
name: string, 
/**
 * The name of its provider.
 */
provider: string, 
/**
 * The bucket; empty for the local store before its first start.
 */
bucket: string, 
/**
 * Whether new shares go there.
 */
current: boolean, 
/**
 * Whether it is the store on this computer.
 */
local: boolean, 
/**
 * From where its links open.
 */
reach: Reach, 
/**
 * Links of it that live.
 */
live_links: number, 
/**
 * When it was last checked.
 */
checked_at: number | null, 
/**
 * Whether that check found something that links can't do without.
 */
failing: boolean, 
/**
 * The access key's id, where it signs in with one.
 */
access_key: string | null, 
/**
 * The access key of the user that Lapse made to sign its links.
 */
signer: string | null, 
/**
 * By what Lapse can make such a user: `key` or `token`; none where it can't, or has.
 */
signer_by: string | null, 
/**
 * Whether all its links can be revoked from here: `here`, or `by_hand` with a key that the person makes.
 */
rotation: string, };

export type Finding = { 
/**
 * What was tried, in lower snake case.
 */
name: string, 
/**
 * How it turned out.
 */
verdict: "pass" | "warn" | "fail", 
/**
 * One sentence for a person.
 */
text: string, };

export type Store = { 
/**
 * Whether a process hosts it.
 */
running: boolean, 
/**
 * The network's interface where it is to listen; `None`: this computer only.
 */
lan_interface: string | null, 
/**
 * The address in that network that links carry now.
 */
lan: string | null, 
/**
 * Whether it left the network because that changed.
 */
lan_ended: boolean, 
/**
 * The interfaces where it could listen.
 */
interfaces: Array<Interface>, 
/**
 * Links that live.
 */
live_links: number, 
/**
 * Bytes in it.
 */
bytes: number, };

export type Interface = { 
/**
 * Its name.
 */
name: string, 
/**
 * Its address.
 */
address: string, };

export type Keychain = { 
/**
 * `system`, `this_run` or `passphrase_file`.
 */
kind: string, 
/**
 * `open`, `locked`, `absent` or `failed`.
 */
state: string, 
/**
 * Profiles whose secrets it holds.
 */
profiles: number, 
/**
 * Why, when it isn't open.
 */
failure: Failure | null, 
/**
 * Whether a passphrase file is there already, so that its own passphrase is asked for.
 */
has_passphrase_file: boolean, };

export type Preferences = { 
/**
 * How long new links live, as a number and a unit: `1h`, `1d`, `7d`.
 */
expires: string, 
/**
 * Whether a new link goes to the clipboard.
 */
copy_links: boolean, 
/**
 * Whether links made while the window is hidden are told.
 */
notifications: boolean, 
/**
 * Whether closing the window keeps Lapse in the tray.
 */
close_to_tray: boolean, 
/**
 * Whether Lapse starts at login.
 */
start_at_login: boolean, 
/**
 * `system`, `light` or `dark`.
 */
theme: string, 
/**
 * A language's tag; `system`: the system's.
 */
language: string, 
/**
 * Bytes a second that uploads may take together; `None`: no limit.
 */
upload_limit: number | null, 
/**
 * The zoom of the page: 1 is its own size.
 */
zoom: number, };

export type Start = { 
/**
 * The version of Lapse.
 */
version: string, 
/**
 * `linux`, `macos` or `windows`.
 */
platform: string, 
/**
 * What the person chose.
 */
preferences: Preferences, 
/**
 * The profiles, the local store first.
 */
profiles: Array<Profile>, 
/**
 * The newest shares that aren't cleared away, more than a window shows at once.
 */
shares: Array<Share>, 
/**
 * Whether `shares` gives more than these.
 */
more: boolean, 
/**
 * Why Lapse can't work, when it can't: a newer database, a broken config.toml, a full disk.
 */
problem: Failure | null, 
/**
 * Where the list and the settings are kept, for a person to read.
 */
data_folder: string, 
/**
 * The size of that, in bytes.
 */
data_size: number, };
