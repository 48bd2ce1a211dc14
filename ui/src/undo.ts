import type { Revoked } from "./bindings";

/** What an undo did, of everything that was shared together. */
export type Undone = {
  checked: number;
  refused: number;
  /** What went wrong, a message each. */
  failed: string[];
};

/** Each asks the storage until it refuses: more at once would wait for each other. */
const AT_ONCE = 8;

/** Revokes all of them, whatever happens to one. */
export async function revokeAll(
  ids: readonly string[],
  revoke: (id: string) => Promise<Revoked>,
  message: (error: unknown) => string,
): Promise<Undone> {
  const undone: Undone = { checked: 0, refused: 0, failed: [] };
  const rest = [...ids];
  const work = async () => {
    for (let id = rest.shift(); id !== undefined; id = rest.shift())
      try {
        const { checked, refused } = await revoke(id);
        undone.checked += checked;
        undone.refused += refused;
      } catch (error) {
        undone.failed.push(message(error));
      }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return undone;
}
