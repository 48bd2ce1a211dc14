import { expect, test } from "vitest";
import { ARMED, press } from "./hold";

test("a second press in time is meant, a late one arms again", () => {
  const [first, armed] = press({ armedUntil: 0 }, 1_000);
  expect(first).toBe(false);
  const [second, after] = press(armed, 1_000 + ARMED - 1);
  expect(second).toBe(true);
  expect(press(after, 1_000 + ARMED)[0]).toBe(false);
  const [late, again] = press(armed, 1_000 + ARMED);
  expect(late).toBe(false);
  expect(press(again, 1_000 + ARMED + 1)[0]).toBe(true);
});
