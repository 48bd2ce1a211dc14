// The only file that touches Tauri. Each function is one command of the shell; a command that fails rejects with a
// `Failure`. The page never sends a path: drops, dialogs and the clipboard are taken by the shell.
import { Channel, invoke } from "@tauri-apps/api/core";
import { listen } from "@tauri-apps/api/event";
import type {
  Admin,
  Checked,
  AllLinks,
  AllRevoked,
  Change,
  Copied,
  Draft,
  Failure,
  Finding,
  Folder,
  FolderChoice,
  Keychain,
  Link,
  NewKey,
  Preferences,
  Profile,
  Progress,
  Provider,
  Quit,
  Revoked,
  Share,
  Start,
  Store,
  Tray,
} from "./bindings";

/** What the page needs to draw itself. */
export const start = () => invoke<Start>("start");

/** Tells the shell that the first screen is being drawn, so that it shows the window. */
export const drawn = () => invoke<void>("drawn");

/** Hears everything that happens from now on. */
export const onChange = (heard: (change: Change) => void) =>
  listen<Change>("change", (event) => heard(event.payload));

/** Hears how far uploads are, at most ten times a second each. */
export const onProgress = (heard: (progress: Progress[]) => void) => {
  const channel = new Channel<Progress[]>();
  channel.onmessage = heard;
  return invoke<void>("hear_progress", { channel });
};

/** Every share that isn't cleared away, the newest first. */
export const shares = () => invoke<Share[]>("shares");

/** The watched folders. */
export const folders = () => invoke<Folder[]>("folders");

/** Asks for a folder by the system's dialog and watches it. Gives how many were chosen. */
export const addFolder = () => invoke<number>("add_folder");

/** Changes what is chosen for a watched folder. */
export const setFolder = (id: number, choice: FolderChoice) =>
  invoke<void>("set_folder", { id, choice });

/** Lets a watched folder go on, whatever is at its place now. */
export const resumeFolder = (id: number) =>
  invoke<void>("resume_folder", { id });

/** Asks by the system's dialog where a watched folder is now. Gives how many were chosen. */
export const locateFolder = (id: number) =>
  invoke<number>("locate_folder", { id });

/** Watches a folder no more. Gives how many of its links were revoked. */
export const removeFolder = (id: number, revoke: boolean) =>
  invoke<number>("remove_folder", { id, revoke });

/** Asks for files by the system's dialog and shares them. Gives how many were chosen. */
export const browse = () => invoke<number>("browse");

/** Asks for a folder by the system's dialog and shares it as one zip. */
export const browseFolder = () => invoke<number>("browse_folder");

/** Shares the files or the picture on the clipboard; a picture gets this name. Gives how many; 0: there is nothing
 * of the kind. */
export const paste = (pictureName: string) =>
  invoke<number>("paste", { pictureName });

/** Puts a share's link on the clipboard. */
export const copyLink = (id: string) => invoke<Copied>("copy_link", { id });

/** A share's link, for the detail sheet. */
export const link = (id: string) => invoke<Link>("link", { id });

/** Puts the links of shares on the clipboard, one a line. */
export const copyLinks = (ids: string[]) => invoke<void>("copy_links", { ids });

/** Opens the link in the browser. */
export const openLink = (id: string) => invoke<void>("open_link", { id });

/** Shows the file that was shared in the file manager. */
export const showFile = (id: string) => invoke<void>("show_file", { id });

/** Asks the storage with each link of a share. */
export const check = (id: string) => invoke<Checked>("check", { id });

/** Makes a new link, which goes to the clipboard; the old one keeps its end. */
export const extend = (id: string, expires: string) =>
  invoke<Copied>("extend", { id, expires });

/** What switching off the key that signs a profile's links would do. */
export const allLinks = (profile: string) =>
  invoke<AllLinks>("all_links", { profile });

/** Ends every link of a profile by a new signing key; the links of the shares in `keep` are signed again. Its steps come
 * as changes. */
export const revokeAll = (
  profile: string,
  keep: string[],
  stopOthers: boolean,
  newKey: NewKey | null,
  endSessionsOf: string | null,
) =>
  invoke<AllRevoked>("revoke_all", {
    profile,
    keep,
    stopOthers,
    newKey,
    endSessionsOf,
  });

/** Makes a user that only signs links. The admin's sign-in isn't kept. Gives the access key that signs from then on. */
export const createSigner = (profile: string, admin: Admin) =>
  invoke<string>("create_signer", { profile, admin });

/** Switches the key on again that was switched off last. Gives which. */
export const restoreKey = (profile: string) =>
  invoke<string>("restore_key", { profile });

/** Deletes the object, or lets the storage move it to a key that nobody knows, and asks with every link until it is
 * refused. */
export const revoke = (id: string, keepFile = false) =>
  invoke<Revoked>("revoke", { id, keepFile });

/** Deletes the old versions that the bucket keeps of a revoked share's object. Gives how many there were. */
export const purge = (id: string) => invoke<number>("purge", { id });

/** Takes back what came in together with these shares: files that wait aren't begun, uploads are canceled. Gives the
 * shares that have links, to be revoked. */
export const callOff = (ids: string[]) => invoke<string[]>("call_off", { ids });

/** Shares the same file again: for rows that ended or failed. `file_changed`: ask, then call again with
 * `changedToo`. Answers when the new link is there. */
export const shareAgain = (id: string, changedToo: boolean) =>
  invoke<void>("share_again", { id, changedToo });

export const pause = (id: string) => invoke<void>("pause", { id });
export const resume = (id: string) => invoke<void>("resume", { id });
/** Stops an upload and takes its row away. */
export const cancel = (id: string) => invoke<void>("cancel", { id });

/** Takes shares that have ended from the list; gives the ids that went. */
export const clearEnded = () => invoke<string[]>("clear_ended");

/** The providers that a profile can be made for; the local store isn't one. */
export const providers = () => invoke<Provider[]>("providers");
/** The names of the profiles in the AWS files. */
export const awsProfiles = () => invoke<string[]>("aws_profiles");
/** What a profile is made of, to edit it. */
export const draft = (name: string) => invoke<Draft>("draft", { name });
/** Adds a profile once its keys open its bucket. `no_such_bucket`: ask, then call again with `createBucket`. */
export const addProfile = (
  draft: Draft,
  secret: string | null,
  createBucket: boolean,
) => invoke<Profile>("add_profile", { draft, secret, createBucket });
/** Changes a profile; a `secret` of null keeps the one in the keychain. */
export const editProfile = (
  name: string,
  draft: Draft,
  secret: string | null,
) => invoke<Profile>("edit_profile", { name, draft, secret });
export const useProfile = (name: string) =>
  invoke<void>("use_profile", { name });
/** Forgets a profile; while links of it live only `despiteLinks`. */
export const removeProfile = (name: string, despiteLinks: boolean) =>
  invoke<void>("remove_profile", { name, despiteLinks });
/** Tries what a profile promises on the real bucket; `found` hears each line as it is known. */
export const checkProfile = (
  name: string,
  found: (finding: Finding) => void,
) => {
  const channel = new Channel<Finding>();
  channel.onmessage = found;
  return invoke<Finding[]>("check_profile", { name, channel });
};
/** What the last check of a profile found. */
export const findings = (name: string) =>
  invoke<Finding[]>("findings", { name });

export const store = () => invoke<Store>("store");
/** Lets the local store listen in the network of an interface; null: on this computer only. */
export const listenIn = (networkInterface: string | null) =>
  invoke<Store>("listen_in", { networkInterface });

/** Where secrets are kept, and whether that is open. */
export const keychain = () => invoke<Keychain>("keychain");
/** Asks the system to unlock its keychain; gives what is true afterwards. */
export const unlockKeychain = () => invoke<Keychain>("unlock_keychain");
/** Keeps secrets in memory until Lapse ends. */
export const keepKeysForThisRun = () =>
  invoke<Keychain>("keep_keys_for_this_run");
/** Keeps secrets in a file that this passphrase opens. */
export const usePassphraseFile = (passphrase: string) =>
  invoke<Keychain>("use_passphrase_file", { passphrase });

export const setPreferences = (preferences: Preferences) =>
  invoke<Preferences>("set_preferences", { preferences });
/** Shows Lapse's data folder in the file manager. */
export const showData = () => invoke<void>("show_data");

/** Tells something outside the window. */
export const notify = (title: string, body: string) =>
  invoke<void>("notify", { title, body });
/** Gives the tray its menu. */
export const setTray = (tray: Tray) => invoke<void>("set_tray", { tray });

/** Answers `quit_asked`. */
export const quit = (how: Quit) => invoke<void>("quit", { how });

/** Whether what a command rejected with says what to do. */
export const isFailure = (error: unknown): error is Failure =>
  typeof error === "object" &&
  error !== null &&
  "code" in error &&
  "message" in error;
