import type { Share } from "../bindings";
import { groupOf, type Group } from "./state";

/** What the list is made of: rows, and what stands between them. */
export type Item =
  | { is: "share"; share: Share; place: number; of: number }
  | { is: "waiting" }
  | { is: "ended" };

export const keyOf = (item: Item) =>
  item.is === "share" ? item.share.id : `:${item.is}`;

const plain = (text: string) => text.normalize("NFKC").toLocaleLowerCase();

/** The shares whose names have all words of a query. */
export function found(shares: readonly Share[], query: string): Share[] {
  const words = plain(query).split(/\s+/).filter(Boolean);
  if (!words.length) return [...shares];
  return shares.filter(({ name }) => {
    const text = plain(name);
    return words.every((word) => text.includes(word));
  });
}

/** Work in progress first, then what failed, what lives, and what ended. */
export function itemsOf(
  shares: readonly Share[],
  waiting: boolean,
  now: number,
): Item[] {
  const groups: Record<Group, Share[]> = {
    busy: [],
    failed: [],
    live: [],
    ended: [],
  };
  for (const share of shares) groups[groupOf(share, now)].push(share);
  let place = 0;
  const rows = (group: Group): Item[] =>
    groups[group].map((share) => ({
      is: "share",
      share,
      place: ++place,
      of: shares.length,
    }));
  return [
    ...rows("busy"),
    ...(waiting ? [{ is: "waiting" } as const] : []),
    ...rows("failed"),
    ...rows("live"),
    ...(groups.ended.length ? [{ is: "ended" } as const] : []),
    ...rows("ended"),
  ];
}
