import { expect, test } from "vitest";
import { milliseconds, words } from "./expires";

test.each([
  ["1m", 60_000],
  ["36h", 129_600_000],
  ["7d", 604_800_000],
  ["168h", 604_800_000],
])("%s is a length of a link", (expires, ms) =>
  expect(milliseconds(expires)).toBe(ms),
);

test.each([
  "0h",
  "8d",
  "169h",
  "h",
  "",
  "-1h",
  "1.5h",
  "1e3m",
  "1w",
  "99999999m",
])("%s isn't", (expires) => expect(milliseconds(expires)).toBeUndefined());

test("its words have plurals", () => {
  expect(words("1d")).toBe("1\u00A0day");
  expect(words("36h")).toBe("36\u00A0hours");
  expect(words("1m")).toBe("1\u00A0minute");
});
