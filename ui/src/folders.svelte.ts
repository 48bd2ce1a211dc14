// The watched folders. The shell tells that something changed; what, is asked for.
import { SvelteMap } from "svelte/reactivity";
import { app } from "./app.svelte";
import type { Folder, FolderChoice } from "./bindings";
import * as ipc from "./ipc";

const UNCHANGED: FolderChoice = {
  expires: null,
  copy: null,
  ignore: null,
  recursive: null,
  paused: null,
};

class Folders {
  /** Undefined until the shell has answered. */
  list = $state.raw<Folder[]>();
  /** How many had been shared when the files began to wait that wait now, by the folder's id. */
  readonly #before = new SvelteMap<number, number>();
  #asked = 0;

  async load() {
    const asked = ++this.#asked;
    const list = await ipc.folders();
    // The last question's answer counts, in whatever order they come.
    if (asked !== this.#asked) return;
    for (const { id, shared, waiting } of list) {
      if (waiting === 0) this.#before.delete(id);
      else if (!this.#before.has(id)) this.#before.set(id, shared);
    }
    this.list = list;
  }

  /** How many of those that wait together are shared, and how many they are. */
  batch({ id, shared, waiting }: Folder) {
    const done = Math.max(shared - (this.#before.get(id) ?? shared), 0);
    return { done, of: done + waiting };
  }

  async set(folder: Folder, change: Partial<FolderChoice>) {
    await ipc.setFolder(folder.id, { ...UNCHANGED, ...change });
    await this.load();
  }
}

export const folders = new Folders();
const load = () => void folders.load().catch(() => undefined);
app.onChange((change) => {
  if (change.is === "folders" || change.is === "settings") load();
});
