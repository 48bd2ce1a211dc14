// What Lapse says outside of its window: the tray's menu, and notifications while nobody sees the window.
import { app } from "./app.svelte";
import type { Share, Tray } from "./bindings";
import { told } from "./failure";
import { HOUR, moment, number } from "./format";
import * as ipc from "./ipc";
import { groupOf, nextEndIn } from "./list/state";
import { safeName } from "./parts/name";
import { t } from "./words";

/** More would make the menu a list to read. */
const RECENT = 5;
const LONGEST = 40;

/** A name for a line of a menu or a notification, cut between letters. */
function short(name: string): string {
  const letters = [...new Intl.Segmenter().segment(safeName(name))].map(
    ({ segment }) => segment,
  );
  if (letters.length <= LONGEST) return letters.join("");
  const head = letters.slice(0, LONGEST - 14).join("");
  return `${head}…${letters.slice(-12).join("")}`;
}

export function trayOf(shares: Share[], now: number): Tray {
  const live = shares.filter((share) => {
    const group = groupOf(share, now);
    return group !== "busy" && group !== "failed" && group !== "ended";
  });
  return {
    share: t("outside.share"),
    open: t("outside.open"),
    quit: t("outside.quit"),
    recent: live.slice(0, RECENT).map((share) => ({
      id: share.id,
      // In a menu, one & would underline the letter after it.
      label: t("outside.copy", { name: short(share.name) }).replaceAll(
        "&",
        "&&",
      ),
    })),
  };
}

$effect.root(() => {
  let before = "";
  // The clock of the window sleeps while that is hidden, which is when the tray is used.
  let ended = $state(0);
  $effect(() => {
    void ended;
    if (!app.ready || app.problem) return;
    const { shares } = app;
    const tray = trayOf(shares, Date.now());
    const now = JSON.stringify(tray);
    if (now !== before) ipc.setTray(tray).catch(() => undefined);
    before = now;
    const next = nextEndIn(shares, Date.now());
    if (next === Infinity) return;
    const timer = setTimeout(() => ended++, Math.min(next, HOUR) + 1_000);
    return () => clearTimeout(timer);
  });
});

const nameOf = (id: string) => short(app.share(id)?.name ?? "");

/** A desktop without notifications has told nobody, and that is all. */
const notify = (title: string, body: string) =>
  void ipc.notify(title, body).catch(() => undefined);

function shared({ ids, copied }: { ids: string[]; copied: boolean }) {
  const [first] = ids;
  if (!first) return;
  const many = { count: ids.length, n: number(ids.length) };
  const ends = app.share(first)?.ends_at ?? null;
  if (ids.length > 1) {
    const title = copied
      ? t("outside.copied_many", many)
      : t("outside.ready_many", many);
    const rest = { name: nameOf(first), n: number(ids.length - 1) };
    notify(title, t("outside.names", rest));
  } else {
    const title = copied ? t("outside.copied") : t("outside.ready");
    const until = { name: nameOf(first), when: moment(ends ?? 0, Date.now()) };
    notify(title, ends === null ? nameOf(first) : t("outside.until", until));
  }
}

app.onChange((change) => {
  // Said whatever the settings say: the window went away, and this is where it went.
  if (change.is === "hidden")
    notify(t("outside.hidden"), t("outside.hidden_more"));
  if (!app.preferences.notifications) return;
  if (change.is === "shared" && change.hidden) shared(change);
  if (change.is === "copied" && change.hidden)
    shared({ ...change, ids: [change.id] });
  if (change.is === "folder_shared" && change.hidden) {
    const { count, name, copied } = change;
    const many = { count, n: number(count), name: short(name) };
    notify(
      t("outside.folder", many),
      copied ? t("outside.folder_copied") : nameOf(change.id),
    );
  }
  if (change.is === "not_shared" && change.hidden)
    notify(
      t("outside.not_shared", { name: short(change.name) }),
      told(change.failure),
    );
});
