import type { Share } from "./bindings";

/** The list with some shares as they are now: known ones keep their place, new ones come first, the newest before all. */
export function merge(list: readonly Share[], now: readonly Share[]): Share[] {
  const changed = new Map(now.map((share) => [share.id, share]));
  const kept = list.map((share) => {
    const other = changed.get(share.id);
    changed.delete(share.id);
    return other ?? share;
  });
  const fresh = [...changed.values()].sort(
    (a, b) => b.created_at - a.created_at,
  );
  return [...fresh, ...kept];
}

/** Those of `now` whose state is another one than in the list. */
export function turned(list: readonly Share[], now: readonly Share[]): Share[] {
  const known = new Map(now.map((share) => [share.id, share]));
  // The list may be long.
  return list.flatMap(({ id, state }) => {
    const share = known.get(id);
    return share && share.state.is !== state.is ? [share] : [];
  });
}
