// A fake of the shell for the page under test: every command of `src/ipc.ts` answers from a scene that the address
// names (`?scene=main&theme=dark`). `window.calls` records what was asked; `window.fake` tells what happens.
import { emit } from "@tauri-apps/api/event";
import { mockIPC } from "@tauri-apps/api/mocks";
import type { Channel } from "@tauri-apps/api/core";
import type {
  Change,
  Failure,
  Finding,
  Progress,
  RotationStep,
  Share,
} from "../src/bindings";
import type * as ipc from "../src/ipc";
import { revokedAt, scene, type Scene } from "./scenes";

type Snake<S extends string> = S extends `${infer Head}${infer Tail}`
  ? `${Head extends Lowercase<Head> ? Head : `_${Lowercase<Head>}`}${Snake<Tail>}`
  : S;
type Commands = Omit<typeof ipc, "isFailure" | "onChange" | "onProgress">;
type Answer<F> = F extends (...args: never[]) => Promise<infer R>
  ? R | Promise<R>
  : never;
/** What commands are sent; which of it is there depends on the command. */
type Sent = {
  id: string;
  ids: string[];
  keep: string[];
  name: string;
  profile: string;
  expires: string;
  draft: import("../src/bindings").Draft;
  secret: string | null;
  createBucket: boolean;
  despiteLinks: boolean;
  networkInterface: string | null;
  passphrase: string;
  preferences: import("../src/bindings").Preferences;
  how: import("../src/bindings").Quit;
  choice: import("../src/bindings").FolderChoice;
  revoke: boolean;
  channel: Channel<unknown>;
};
/** One answer for each command: a command that is added to ipc.ts, or answers otherwise, fails svelte-check here. */
export type Shell = {
  [K in keyof Commands as Snake<K>]: (sent: Sent) => Answer<Commands[K]>;
} & { hear_progress: (sent: Sent) => void };

type Call = { cmd: string; args: Record<string, unknown> };
declare global {
  interface Window {
    calls: Call[];
    fake: {
      scene: Scene;
      change: (change: Change) => void;
      progress: (progress: Progress[]) => void;
      /** Lets the next call of a command fail. */
      fail: (cmd: string, failure: Failure) => void;
    };
  }
}

const asked = new URLSearchParams(location.search);
const here = scene(asked.get("scene") ?? "main");
const theme = asked.get("theme");
if (theme) here.start.preferences.theme = theme;

const change = (change: Change) => void emit("change", change);
const shareOf = (id: string): Share => {
  const share = here.start.shares.find((share) => share.id === id);
  if (!share)
    throw {
      code: "no_such_share",
      message: "There is no such share",
      hint: "It was cleared from the list.",
    } satisfies Failure;
  return share;
};
/** Changes a share and tells the page. */
const set = (id: string, now: Partial<Share>): Share => {
  const share = Object.assign(shareOf(id), now);
  change({ is: "shares", shares: [{ ...share }], gone: [] });
  return { ...share };
};
const signerBy = (provider: string) =>
  provider === "garage"
    ? "token"
    : ["aws", "wasabi", "ceph", "seaweedfs"].includes(provider)
      ? "key"
      : null;
const slowly = () =>
  here.slow
    ? new Promise((done) => setTimeout(done, here.slow))
    : Promise.resolve();
const tellFindings = async (channel: Channel<unknown>): Promise<Finding[]> => {
  for (const finding of here.findings) {
    (channel as Channel<Finding>).onmessage(finding);
    await new Promise((done) => setTimeout(done, here.findingEvery));
  }
  return here.findings;
};

let hearsProgress: ((progress: Progress[]) => void) | undefined;

const shell: Shell = {
  start: async () => {
    if (here.startsAfter)
      await new Promise((done) => setTimeout(done, here.startsAfter));
    const first = here.start.shares.slice(0, 50);
    const more = here.start.shares.length > first.length;
    return structuredClone({ ...here.start, shares: first, more });
  },
  drawn: () => undefined,
  hear_progress: ({ channel }) => {
    hearsProgress = (progress) => channel.onmessage(progress);
  },
  shares: async () => {
    const shares = structuredClone(here.start.shares);
    if (here.restAfter)
      await new Promise((done) => setTimeout(done, here.restAfter));
    return shares;
  },
  browse: () => 1,
  browse_folder: () => 1,
  paste: () => here.pasted,
  copy_link: async ({ id }) => {
    await slowly();
    return { share: { ...shareOf(id) }, copied: true, notices: [] };
  },
  copy_links: ({ ids }) => ids.forEach(shareOf),
  call_off: ({ ids }) => [...ids, ...here.calledOff],
  link: async ({ id }) => {
    shareOf(id);
    const link = { ...here.link };
    await slowly();
    return link;
  },
  open_link: () => undefined,
  show_file: () => undefined,
  check: async ({ id }) => {
    await slowly();
    return {
      share: set(id, { checked_at: Date.now() }),
      notices: here.noticed,
    };
  },
  extend: ({ id, expires }) => {
    const days = expires.endsWith("d");
    const ends =
      Date.now() + parseInt(expires) * (days ? 86_400_000 : 3_600_000);
    return {
      share: set(id, {
        ends_at: ends,
        signed_at: Date.now(),
        other_links: shareOf(id).other_links + 1,
      }),
      copied: true,
      notices: [],
    };
  },
  all_links: () => ({
    access_key: "AKIAEXAMPLE7",
    shares: here.start.shares.filter(({ state }) =>
      ["active", "cut_short", "unreachable"].includes(state.is),
    ),
    ...here.allLinks,
  }),
  revoke_all: async ({ keep }) => {
    const live = here.start.shares.filter(({ state }) =>
      ["active", "cut_short", "unreachable"].includes(state.is),
    );
    const kept = live.filter(({ id }) => keep.includes(id));
    const others = live.length - kept.length;
    const byKey: RotationStep[] = [
      { is: "made" },
      { is: "stored" },
      { is: "works" },
      { is: "signed", kept: kept.length },
      { is: "off" },
    ];
    const byHand: RotationStep[] = [
      { is: "stored" },
      { is: "works" },
      { is: "signed", kept: kept.length },
      { is: "by_hand", access_key: "AKIAEXAMPLE7" },
    ];
    const refused = others - here.notKnown;
    const steps: RotationStep[] = [
      ...(here.allLinks.role
        ? [{ is: "off" } as const, { is: "signed", kept: kept.length } as const]
        : here.allLinks.by_hand
          ? byHand
          : byKey),
      { is: "asked", checked: others, refused, again_in: null },
    ];
    for (const step of steps.slice(0, here.revokingTo)) {
      change({ is: "rotated", step });
      await new Promise((go) => setTimeout(go, 20));
    }
    if (here.revokingTo < steps.length) await new Promise(() => undefined);
    for (const { id } of live)
      if (!keep.includes(id))
        set(id, { state: { is: "revoked", at: revokedAt() } });
    return {
      checked: others,
      refused,
      kept,
      unasked: here.allLinks.role ? 2 : 0,
      old_key: "AKIAEXAMPLE7",
      is_off: here.notKnown === 0,
      is_restorable: !here.allLinks.role && here.notKnown === 0,
    };
  },
  create_signer: async ({ profile }) => {
    await slowly();
    const made = here.start.profiles.find(({ name }) => name === profile)!;
    made.signer = "AKIAEXAMPLE8";
    made.signer_by = null;
    return "AKIAEXAMPLE8";
  },
  purge: () => 1,
  restore_key: () => "AKIAEXAMPLE7",
  revoke: ({ id }) => {
    const links = 1 + shareOf(id).other_links;
    return {
      share: set(id, { state: { is: "revoked", at: revokedAt() } }),
      checked: links,
      refused: links - here.notKnown,
      keeps_versions: here.keepsVersions,
    };
  },
  share_again: async ({ id }) => {
    await slowly();
    set(id, { state: { is: "uploading" } });
  },
  pause: ({ id }) => void set(id, { state: { is: "paused" } }),
  resume: ({ id }) => void set(id, { state: { is: "uploading" } }),
  cancel: ({ id }) => {
    here.start.shares = here.start.shares.filter((share) => share.id !== id);
    change({ is: "list" });
  },
  clear_ended: () => {
    const ended = here.start.shares.filter(
      ({ state, ends_at }) =>
        ["expired", "revoked", "failed"].includes(state.is) ||
        (ends_at !== null && ends_at <= Date.now()),
    );
    here.start.shares = here.start.shares.filter(
      (share) => !ended.includes(share),
    );
    return ended.map((share) => share.id);
  },
  providers: () => here.providers,
  aws_profiles: () => here.awsProfiles,
  draft: ({ name }) => ({ ...here.draft, name }),
  add_profile: ({ draft }) => {
    const profile = {
      name: draft.name,
      provider:
        here.providers.find(({ id }) => id === draft.provider)?.name ??
        draft.provider,
      bucket: draft.bucket,
      current: true,
      local: false,
      reach: "anywhere" as const,
      live_links: 0,
      checked_at: Date.now(),
      failing: false,
      access_key: draft.sign_in.by === "access_key" ? draft.sign_in.id : null,
      signer: null,
      signer_by: signerBy(draft.provider),
      rotation: "here",
    };
    for (const other of here.start.profiles) other.current = false;
    here.start.profiles.push(profile);
    return profile;
  },
  edit_profile: ({ name }) => {
    const profile = here.start.profiles.find((one) => one.name === name);
    return { ...profile! };
  },
  use_profile: ({ name }) => {
    for (const profile of here.start.profiles)
      profile.current = profile.name === name;
    change({ is: "settings" });
  },
  remove_profile: ({ name }) => {
    here.start.profiles = here.start.profiles.filter(
      (profile) => profile.name !== name,
    );
    change({ is: "settings" });
  },
  check_profile: ({ channel }) => tellFindings(channel),
  findings: () => here.findings,
  folders: () => structuredClone(here.folders),
  add_folder: () => {
    here.folders.push({ ...here.folders[0]!, id: 9, path: "~/New" });
    return 1;
  },
  set_folder: ({ id, choice }) => {
    const folder = here.folders.find((one) => one.id === Number(id))!;
    const { paused, ...chosen } = choice;
    for (const [name, value] of Object.entries(chosen))
      if (value !== null) Object.assign(folder, { [name]: value });
    if (paused !== null) folder.state = paused ? "paused" : "watching";
  },
  resume_folder: ({ id }) => {
    here.folders.find((one) => one.id === Number(id))!.state = "watching";
  },
  locate_folder: ({ id }) => {
    here.folders.find((one) => one.id === Number(id))!.state = "watching";
    return 1;
  },
  remove_folder: ({ id, revoke }) => {
    here.folders = here.folders.filter((one) => one.id !== Number(id));
    return revoke ? 3 : 0;
  },
  store: () => structuredClone(here.store),
  listen_in: ({ networkInterface }) => {
    here.store.lan_interface = networkInterface;
    here.store.lan =
      here.store.interfaces.find(({ name }) => name === networkInterface)
        ?.address ?? null;
    return { ...here.store };
  },
  keychain: () => here.keychain,
  unlock_keychain: () => {
    here.keychain = { ...here.keychain, state: "open", failure: null };
    return here.keychain;
  },
  keep_keys_for_this_run: () => {
    here.keychain = {
      ...here.keychain,
      kind: "this_run",
      state: "open",
      failure: null,
    };
    return here.keychain;
  },
  use_passphrase_file: () => {
    here.keychain = {
      ...here.keychain,
      kind: "passphrase_file",
      state: "open",
      failure: null,
    };
    return here.keychain;
  },
  set_preferences: ({ preferences }) => {
    here.start.preferences = preferences;
    return preferences;
  },
  show_data: () => undefined,
  quit: () => undefined,
  notify: () => undefined,
  set_tray: () => undefined,
};

/** Another language: each word is in brackets, so that one that isn't in the catalogue is seen, and longer by 40 %. */
async function lengthenWords() {
  const { default: i18next } = await import("i18next");
  await import("../src/words");
  const longer = (text: string) =>
    text.replace(/\{\{.*?\}\}|[\p{L}’]+/gu, (word) =>
      word.startsWith("{{")
        ? word
        : `[${word}${"~".repeat(Math.max(Math.ceil(word.length * 0.4) - 2, 0))}]`,
    );
  const all = (node: object): object =>
    Object.fromEntries(
      Object.entries(node).map(([key, value]) => [
        key,
        typeof value === "string" ? longer(value) : all(value as object),
      ]),
    );
  const words = i18next.getResourceBundle("en", "translation") as object;
  i18next.addResourceBundle("en", "translation", all(words), true, true);
}

const failures = new Map<string, Failure>();
window.calls = [];
window.fake = {
  scene: here,
  change,
  progress: (progress) => hearsProgress?.(progress),
  fail: (cmd, failure) => void failures.set(cmd, failure),
};

mockIPC(
  (cmd, args) => {
    const { channel, ...plain } = (args ?? {}) as Record<string, unknown>;
    window.calls.push({ cmd, args: plain });
    const failure = failures.get(cmd);
    failures.delete(cmd);
    if (failure) throw failure;
    const answer = (shell as Record<string, (sent: Sent) => unknown>)[cmd];
    if (!answer) throw new Error(`no such command: ${cmd}`);
    return answer({ ...plain, channel } as unknown as Sent);
  },
  { shouldMockEvents: true },
);

if (asked.has("long")) await lengthenWords();

// The page under test is the app's own; it may only start once the fake is in place.
await import("../src/main");
for (const told of here.changes) change(told);
if (here.progress.length) window.fake.progress(here.progress);
