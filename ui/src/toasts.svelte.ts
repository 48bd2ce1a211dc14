// What is said once, over the screen, and goes by itself.
import { untrack } from "svelte";
import { app } from "./app.svelte";
import type { Change, Share } from "./bindings";
import { clock } from "./clock.svelte";
import { failureOf, noticesOf } from "./failure";
import { moment, number } from "./format";
import * as ipc from "./ipc";
import { look, stateNow } from "./list/state";
import { Countdown } from "./parts/countdown";
import { safeName } from "./parts/name";
import { revokeAll } from "./undo";
import { t } from "./words";

export type Toast = {
  id: number;
  kind: "ok" | "info" | "danger";
  text: string;
  /** What to do. */
  hint?: string;
  /** Shares that Undo revokes. */
  undo?: string[];
  /** The shares whose links Copy copies. */
  copy?: string[];
  /** What can be done about it. */
  ask?: { words: string; do: () => void };
  /** Undefined: it stays until it is dismissed. */
  life?: Countdown;
};

const UNDO = 8_000;
const READ = 6_000;
/** More would cover the list. */
const MOST = 3;

class Toasts {
  all = $state.raw<Toast[]>([]);
  /** The shares of the toasts with Undo: their rows are lit. */
  fresh = $derived(new Set(this.all.flatMap((toast) => toast.undo ?? [])));
  /** The share whose link was copied a moment ago. */
  copied = $state<string | null>(null);
  /** Said to those who can't see the screen. */
  said = $state("");

  #made = 0;
  #copiedFor: ReturnType<typeof setTimeout> | undefined;

  /** Shows it; in the place of `old`, so that a pointer or the focus stays on what it was on. */
  show(toast: Omit<Toast, "id" | "life">, ms?: number, old?: Toast): number {
    old?.life?.stop();
    const id = old?.id ?? ++this.#made;
    const life =
      ms === undefined ? undefined : new Countdown(ms, () => this.dismiss(id));
    const made = { ...toast, id, ...(life && { life }) };
    if (old) this.all = this.all.map((one) => (one.id === id ? made : one));
    else this.all = [...this.all, made];
    while (this.all.length > MOST) {
      // The way back out of a share is the last to go.
      const [first] = this.all;
      const gone = this.all.slice(0, -1).find(({ undo }) => !undo) ?? first;
      if (gone) this.dismiss(gone.id);
    }
    return id;
  }

  dismiss(id: number) {
    this.all.find((toast) => toast.id === id)?.life?.stop();
    this.all = this.all.filter((toast) => toast.id !== id);
  }

  inform = (text: string) => this.show({ kind: "info", text }, READ);

  fail(error: unknown) {
    const { code, message, hint } = failureOf(error);
    this.show({
      kind: "danger",
      text: message,
      hint,
      ...(code.startsWith("keychain_") && {
        ask: {
          words: t("list.unlock"),
          do: () => app.go({ at: "keychain" }),
        },
      }),
    });
  }

  /** Does it and says what went wrong. */
  async try<T>(doing: Promise<T>): Promise<T | undefined> {
    try {
      return await doing;
    } catch (error) {
      this.fail(error);
      return undefined;
    }
  }

  async copy(id: string) {
    const copied = await this.try(ipc.copyLink(id));
    if (!copied) return;
    app.put([copied.share]);
    const hint = noticesOf(copied.notices);
    if (!copied.copied)
      this.show({ kind: "danger", text: t("toast.not_copied"), hint });
    else {
      if (hint) this.inform(hint);
      this.said = t("toast.copied");
      this.markCopied(id);
    }
  }

  /** Copies the links of a toast, which then says so. */
  async copyAll(toast: Toast) {
    const [first, ...more] = toast.copy ?? [];
    if (first === undefined) return;
    if (!more.length) return this.copy(first);
    const count = more.length + 1;
    try {
      await ipc.copyLinks([first, ...more]);
      const text = t("toast.copied_many", { count, n: number(count) });
      const { kind, undo } = toast;
      this.show({ kind, text, ...(undo && { undo }) }, UNDO, toast);
    } catch (error) {
      this.fail(error);
    }
  }

  markCopied(id: string) {
    this.copied = id;
    clearTimeout(this.#copiedFor);
    this.#copiedFor = setTimeout(() => {
      this.copied = null;
      this.said = "";
    }, 2_000);
  }

  hear(change: Change) {
    if (change.is === "shared") this.#shared(change);
    if (change.is === "copied") this.#copied(change);
    // What else was shared stands in the list.
    if (change.is === "folder_shared" && change.copied && !change.hidden) {
      this.inform(t("toast.folder_copied", { name: change.name }));
      this.markCopied(change.id);
    }
  }

  /** An older link was copied from the tray: that is no share to undo. */
  #copied({ id, copied, notices }: Extract<Change, { is: "copied" }>) {
    const hint = noticesOf(notices);
    if (copied) {
      this.show({ kind: "ok", text: this.#copiedUntil(id), hint }, READ);
      this.markCopied(id);
    } else this.show({ kind: "danger", text: t("toast.not_copied"), hint });
  }

  #copiedUntil(id: string) {
    const ends = app.share(id)?.ends_at ?? null;
    return ends === null
      ? t("toast.copied")
      : t("toast.copied_until", { when: moment(ends, Date.now()) });
  }

  #shared({ ids, copied, notices }: Extract<Change, { is: "shared" }>) {
    const [first] = ids;
    if (!first) return;
    // One drop is told of as its files arrive: what is said now stands for what was said before.
    const given = new Set(ids);
    const [before, ...others] = this.all.filter(({ undo }) =>
      undo?.every((id) => given.has(id)),
    );
    for (const other of others) this.dismiss(other.id);
    const many = { count: ids.length, n: number(ids.length) };
    let text: string;
    if (ids.length > 1)
      text = copied
        ? t("toast.copied_many", many)
        : t("toast.ready_many", many);
    else text = copied ? this.#copiedUntil(first) : t("toast.ready");
    this.show(
      {
        kind: "ok",
        text,
        hint: noticesOf(notices),
        undo: ids,
        ...(!copied && { copy: ids }),
      },
      UNDO,
      before,
    );
    if (copied && ids.length === 1) this.markCopied(first);
  }

  async undo(toast: Toast) {
    this.dismiss(toast.id);
    const working = this.show({ kind: "info", text: t("toast.undoing") });
    const undo = toast.undo ?? [];
    // Files of the same drop that are still under way are taken back with those that have links.
    const ids = (await this.try(ipc.callOff(undo))) ?? undo;
    const { checked, refused, failed } = await revokeAll(
      ids,
      ipc.revoke,
      (error) => failureOf(error).message,
    );
    this.dismiss(working);
    const counts = {
      count: checked,
      n: number(checked),
      refused: number(refused),
    };
    if (checked > 0) {
      const all = refused === checked;
      this.show(
        {
          kind: all ? "ok" : "danger",
          text: all
            ? t("toast.undone", counts)
            : t("toast.undone_partly", counts),
        },
        all ? READ : undefined,
      );
    }
    const [message] = failed;
    if (message)
      this.show({
        kind: "danger",
        text: t("toast.undo_failed", {
          count: failed.length,
          n: number(failed.length),
          message,
        }),
      });
  }
}

export const toasts = new Toasts();
app.onChange((change) => toasts.hear(change));

// What happens to a share by itself is told to those who can't see its row.
const tell = (shares: Share[], now: number) => {
  toasts.said = shares
    .slice(0, 3)
    .map((share) => {
      const { words, note } = look(share, undefined, now);
      return t("list.told", {
        name: safeName(share.name),
        state: note ? `${words}, ${note}` : words,
      });
    })
    .join(". ");
};
app.onTurn((shares) => {
  const alone = shares.filter(
    ({ state }) => state.is === "failed" || state.is === "unreachable",
  );
  if (alone.length) tell(alone, Date.now());
});
$effect.root(() => {
  let before = clock.now;
  $effect(() => {
    const { now } = clock;
    const ended = untrack(() => app.shares).filter(
      (share) =>
        stateNow(share, before) !== "expired" &&
        stateNow(share, now) === "expired",
    );
    before = now;
    if (ended.length) tell(ended, now);
  });
});
