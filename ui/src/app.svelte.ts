// What the window knows, and the screen it shows. Fed by the shell; screens read it and call `ipc`.
import { SvelteMap } from "svelte/reactivity";
import type {
  Change,
  Failure,
  Keychain,
  Preferences,
  Profile,
  Progress,
  Share,
  Start,
} from "./bindings";
import { failureOf } from "./failure";
import * as ipc from "./ipc";
import { merge, turned } from "./shares";
import { speak } from "./words";

/** What is shown. */
export type Screen =
  | { at: "list" }
  | { at: "folders" }
  | { at: "share"; id: string }
  | { at: "settings" }
  | { at: "storages" }
  | { at: "storage"; name: string }
  | { at: "setup"; edit?: string }
  | { at: "keychain" };

/** A question that stands over the screen. */
export type Question =
  | { about: "qr"; id: string }
  | { about: "extend"; id: string }
  | { about: "revoke"; id: string }
  | { about: "revoke_all"; profile: string };

class App {
  /** Undefined until the shell has answered. */
  #start = $state.raw<Start>();
  preferences = $state.raw<Preferences>({
    expires: "1d",
    copy_links: true,
    notifications: true,
    close_to_tray: true,
    start_at_login: false,
    theme: "system",
    language: "system",
    upload_limit: null,
    zoom: 1,
  });
  profiles = $state.raw<Profile[]>([]);
  /** The newest first. */
  shares = $state.raw<Share[]>([]);
  /** How far uploads are, by the share's id. */
  readonly progress = new SvelteMap<string, Progress>();
  /** Why nothing works, when nothing does. */
  problem = $state.raw<Failure | null>(null);
  keychain = $state.raw<Keychain | null>(null);
  /** Files that wait for their turn. */
  waiting = $state(0);
  held = $state.raw<Extract<Change, { is: "drag_over" }> | null>(null);
  quitAsked = $state.raw<Extract<Change, { is: "quit_asked" }> | null>(null);
  question = $state.raw<Question | null>(null);

  /** Once is enough, however often it is tried again. */
  #listens = false;
  #screens = $state.raw<Screen[]>([{ at: "list" }]);
  /** Who hears the changes that are told once, such as a link that was copied. */
  readonly #hearers = new Set<(change: Change) => void>();

  readonly #turnHearers = new Set<(shares: Share[]) => void>();

  get ready() {
    return this.#start !== undefined || this.problem !== null;
  }
  get version() {
    return this.#start?.version ?? "";
  }
  get platform() {
    return this.#start?.platform ?? "linux";
  }
  get dataFolder() {
    return this.#start?.data_folder ?? "";
  }
  get dataSize() {
    return this.#start?.data_size ?? 0;
  }
  /** Where new shares go. */
  get profile(): Profile | undefined {
    return this.profiles.find((profile) => profile.current);
  }
  get screen(): Screen {
    return this.#screens.at(-1) ?? { at: "list" };
  }
  share(id: string): Share | undefined {
    return this.shares.find((share) => share.id === id);
  }

  go(screen: Screen) {
    this.question = null;
    this.#screens =
      screen.at === "list" ? [screen] : [...this.#screens, screen];
  }
  back() {
    if (this.#screens.length > 1) this.#screens = this.#screens.slice(0, -1);
  }

  /** Asks for everything and listens from then on. */
  async begin() {
    try {
      // Listening comes first, so that nothing is missed between the answer and the first change.
      if (!this.#listens) {
        await ipc.onChange((change) => this.#hear(change));
        await ipc.onProgress((progress) => this.#hearProgress(progress));
        this.#listens = true;
      }
      await this.#load();
    } catch (error) {
      this.problem = failureOf(error);
    }
  }

  /** Asks for everything again, after a problem. */
  async tryAgain() {
    this.problem = null;
    this.#start = undefined;
    await this.begin();
  }

  async #load() {
    const [start, heard] = await this.#meanwhile(ipc.start());
    this.#setPreferences(start.preferences);
    this.profiles = start.profiles;
    this.#list(start.shares, heard);
    this.problem = start.problem;
    this.#start = start;
    if (start.problem) return;
    if (start.more) void this.#loadShares();
    await this.loadKeychain();
    if (this.profile?.access_key && this.keychain?.state !== "open")
      this.go({ at: "keychain" });
  }

  /** The choice that is being kept. */
  #kept: Promise<unknown> = Promise.resolve();

  /**
   * Keeps what the person chose; what is shown follows what was kept. All preferences cross together, so one choice
   * waits for the other: `change` is what follows from those that were kept by then, undefined where nothing does.
   */
  setPreferences(
    change: (now: Preferences) => Partial<Preferences> | undefined,
  ) {
    const kept = this.#kept.then(async () => {
      const chosen = change(this.preferences);
      if (chosen)
        this.#setPreferences(
          await ipc.setPreferences({ ...this.preferences, ...chosen }),
        );
    });
    this.#kept = kept.catch(() => undefined);
    return kept;
  }
  #setPreferences(preferences: Preferences) {
    speak(preferences.language);
    this.preferences = preferences;
  }

  async loadKeychain() {
    // Where no profile needs a secret it isn't worth a look, unless the person has been there.
    const wanted = this.profiles.some((profile) => profile.access_key);
    if (wanted || this.keychain) this.keychain = await ipc.keychain();
  }

  async loadSettings() {
    const start = await ipc.start();
    // It comes with no settings then: what was read before stays.
    if (start.problem) throw start.problem;
    this.#setPreferences(start.preferences);
    this.profiles = start.profiles;
    this.#start = start;
    await this.loadKeychain();
  }

  #listAsked = 0;
  async #loadShares() {
    const asked = ++this.#listAsked;
    const answer = ipc.shares().catch(() => undefined);
    const [shares, heard] = await this.#meanwhile(answer);
    // The last question's answer counts, in whatever order they come.
    if (shares && asked === this.#listAsked) this.#list(shares, heard);
  }

  /** An answer, and what was heard while it was waited for: that may be newer. */
  async #meanwhile<T>(answer: Promise<T>): Promise<[T, Change[]]> {
    const heard: Change[] = [];
    const stop = this.onChange((change) => heard.push(change));
    try {
      return [await answer, heard];
    } finally {
      stop();
    }
  }

  #list(shares: Share[], heard: Change[]) {
    this.shares = shares;
    for (const change of heard) if (change.is === "shares") this.#take(change);
  }

  #take(change: Extract<Change, { is: "shares" }>) {
    this.put(change.shares);
    this.drop(change.gone);
  }

  /** Calls `heard` with every change until what this gives is called. */
  onChange(heard: (change: Change) => void) {
    this.#hearers.add(heard);
    return () => void this.#hearers.delete(heard);
  }

  /** Calls `heard` with shares whose state is another one now. */
  onTurn(heard: (shares: Share[]) => void) {
    this.#turnHearers.add(heard);
  }

  /** Puts shares into the list as they are now. */
  put(shares: Share[]) {
    this.shares = merge(this.shares, shares);
    for (const share of shares)
      if (share.state.is !== "uploading" && share.state.is !== "paused")
        this.progress.delete(share.id);
  }

  /** Takes shares from the list. */
  drop(ids: string[]) {
    if (!ids.length) return;
    const gone = new Set(ids);
    this.shares = this.shares.filter((share) => !gone.has(share.id));
    for (const id of ids) this.progress.delete(id);
  }

  #hear(change: Change) {
    switch (change.is) {
      case "drag_over":
        this.held = change;
        break;
      case "drag_out":
        this.held = null;
        break;
      case "shares": {
        const others = turned(this.shares, change.shares);
        this.#take(change);
        for (const heard of this.#turnHearers) heard(others);
        break;
      }
      case "list":
        void this.#loadShares();
        break;
      case "waiting":
        this.waiting = change.count;
        break;
      case "settings":
        // What is shown stays true until the next change; nobody asked for it now.
        this.loadSettings().catch(() => undefined);
        break;
      case "open":
        this.#open(change);
        break;
      case "quit_asked":
        this.quitAsked = change;
        break;
    }
    for (const heard of this.#hearers) heard(change);
  }

  #open(change: Extract<Change, { is: "open" }>) {
    this.#screens = [{ at: "list" }];
    if (change.screen === "share" && change.id)
      this.go({ at: "share", id: change.id });
    if (change.screen === "settings") this.go({ at: "settings" });
  }

  #hearProgress(progress: Progress[]) {
    for (const one of progress) this.progress.set(one.id, one);
  }
}

/** The one state of the window. */
export const app = new App();
