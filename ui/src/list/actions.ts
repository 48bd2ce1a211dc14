// What can be done with a share, from its row, its menu and its sheet.
import { app } from "../app.svelte";
import { SvelteSet } from "svelte/reactivity";
import type { Share } from "../bindings";
import { failureOf, noticesOf } from "../failure";
import * as ipc from "../ipc";
import type { Item } from "../parts/Menu.svelte";
import { toasts } from "../toasts.svelte";
import { t } from "../words";
import { groupOf, type Action } from "./state";

async function check(id: string) {
  const checked = await toasts.try(ipc.check(id));
  if (!checked) return;
  app.put([checked.share]);
  const notice = noticesOf(checked.notices);
  if (notice) toasts.inform(notice);
}

export async function clearEnded() {
  const gone = await toasts.try(ipc.clearEnded());
  if (gone) app.drop(gone);
}

export async function cancel(id: string) {
  await toasts.try(ipc.cancel(id));
}

/** Shares the same file again; one that changed meanwhile only when the person says so. */
async function again(id: string, changedToo = false) {
  try {
    await ipc.shareAgain(id, changedToo);
  } catch (error) {
    const { code, message, hint } = failureOf(error);
    if (code !== "file_changed" || changedToo) toasts.fail(error);
    else
      toasts.show({
        kind: "info",
        text: message,
        hint,
        ask: {
          words: t("toast.share_changed"),
          do: () => void once("again", id, () => again(id, true)),
        },
      });
  }
}

/** What is being done. Rows come and go while the list scrolls; an upload that was asked for goes on. */
const doing = new SvelteSet<string>();
const one = (action: Action, id: string) =>
  `${action === "retry" ? "again" : action} ${id}`;

/** Whether this is being done with a share: a second press does nothing. */
export const isDoing = (action: Action, id: string) =>
  doing.has(one(action, id));

async function once(action: Action, id: string, does: () => Promise<void>) {
  if (isDoing(action, id)) return;
  doing.add(one(action, id));
  await does();
  doing.delete(one(action, id));
}

export function act(action: Action, id: string) {
  return once(action, id, () => {
    switch (action) {
      case "copy":
        return toasts.copy(id);
      case "check":
        return check(id);
      case "retry":
      case "again":
        return again(id);
    }
  });
}

/** What a row's menu offers: only what works now. */
export function menuOf(share: Share): Item[] {
  const { id } = share;
  const group = groupOf(share, Date.now());
  const details: Item = {
    words: t("list.menu_details"),
    icon: "info",
    do: () => app.go({ at: "share", id }),
  };
  const file: Item[] = share.has_file
    ? [
        {
          words: t("list.menu_file"),
          icon: "folder",
          do: () => void toasts.try(ipc.showFile(id)),
        },
      ]
    : [];
  if (group === "busy" || group === "failed")
    return [
      details,
      ...file,
      {
        words: t("list.menu_remove"),
        icon: "x",
        apart: true,
        do: () => void cancel(id),
      },
    ];
  if (group === "ended") return [details, ...file];
  return [
    {
      words: t("list.menu_qr"),
      icon: "qr",
      do: () => (app.question = { about: "qr", id }),
    },
    {
      words: t("list.menu_open"),
      icon: "external",
      do: () => void toasts.try(ipc.openLink(id)),
    },
    {
      words: t("list.menu_extend"),
      icon: "clock",
      do: () => (app.question = { about: "extend", id }),
    },
    details,
    ...file,
    {
      words: t("list.menu_check"),
      icon: "refresh",
      do: () => void act("check", id),
    },
    ...(share.revocable
      ? [
          {
            words: t("list.menu_revoke"),
            icon: "ban",
            danger: true,
            apart: true,
            do: () => (app.question = { about: "revoke", id }),
          } satisfies Item,
        ]
      : []),
  ];
}
