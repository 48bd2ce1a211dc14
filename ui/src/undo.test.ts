import { expect, test, vi } from "vitest";
import type { Revoked, Share } from "./bindings";
import { revokeAll } from "./undo";

const answer = (checked: number, refused: number): Revoked => ({
  share: {} as Share,
  checked,
  refused,
  keeps_versions: false,
});

test("an undo revokes everything that was shared together and adds up what was seen", async () => {
  const revoke = vi.fn(async (id: string) =>
    id === "b" ? answer(2, 1) : answer(1, 1),
  );
  expect(await revokeAll(["a", "b", "c"], revoke, String)).toEqual({
    checked: 4,
    refused: 3,
    failed: [],
  });
  expect(revoke.mock.calls.map(([id]) => id)).toEqual(["a", "b", "c"]);
});

test("one that fails doesn't keep the others from being revoked", async () => {
  const revoke = async (id: string) => {
    if (id === "a") throw new Error("no answer");
    return answer(1, 1);
  };
  expect(
    await revokeAll(["a", "b"], revoke, (error) => (error as Error).message),
  ).toEqual({ checked: 1, refused: 1, failed: ["no answer"] });
});

test("a thousand are revoked a few at a time", async () => {
  let now = 0;
  let most = 0;
  const revoke = async () => {
    most = Math.max(most, ++now);
    await new Promise((done) => setTimeout(done));
    now--;
    return answer(1, 1);
  };
  const ids = Array.from({ length: 1_000 }, (_, at) => `${at}`);
  expect(await revokeAll(ids, revoke, String)).toMatchObject({
    checked: 1_000,
    refused: 1_000,
  });
  expect(most).toBe(8);
});
