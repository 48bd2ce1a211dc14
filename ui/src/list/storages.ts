import { app } from "../app.svelte";
import type { Profile } from "../bindings";
import * as ipc from "../ipc";
import type { Item } from "../parts/Menu.svelte";
import { toasts } from "../toasts.svelte";
import { t } from "../words";

/** What a person calls a storage; the store on this computer has no name of theirs. */
export function storageName(profile: Profile): string {
  if (!profile.local) return profile.name;
  return profile.reach === "network"
    ? t("list.local_network")
    : t("list.local");
}

/** The same by the name that a share carries. */
export function storageOf(name: string): string {
  const profile = app.profiles.find((profile) => profile.name === name);
  return profile ? storageName(profile) : name;
}

/** Where new shares may go, and what adds more. */
export const storageMenu = (): Item[] => [
  ...app.profiles.map((profile): Item => ({
    words: storageName(profile),
    icon: profile.local ? "computer" : "bucket",
    checked: profile.current,
    do: () => void toasts.try(ipc.useProfile(profile.name)),
  })),
  ...(app.keychain && app.keychain.state !== "open"
    ? [
        {
          words: t("list.unlock"),
          icon: "unlock",
          apart: true,
          do: () => app.go({ at: "keychain" }),
        } satisfies Item,
      ]
    : []),
  {
    words: t("list.add_storage"),
    icon: "plus",
    apart: true,
    do: () => app.go({ at: "setup" }),
  },
  {
    words: t("list.manage_storage"),
    icon: "gear",
    do: () => app.go({ at: "storages" }),
  },
];
