import { expect, test } from "vitest";
import { pressed } from "./keys";

test.each([
  // As it is.
  ["v", "KeyV", "v"],
  ["V", "KeyV", "v"],
  ["+", "Equal", "+"],
  ["Escape", "Escape", "Escape"],
  // Another Latin keyboard: what is on the key, not its place.
  ["z", "KeyY", "z"],
  ["à", "Digit0", "à"],
  // By its place.
  ["м", "KeyV", "v"],
  ["М", "KeyV", "v"],
  ["ω", "KeyV", "v"],
  ["۰", "Digit0", "0"],
  ["ה", "KeyV", "v"],
])("%s at %s is %s", (key, code, means) => {
  expect(pressed({ key, code })).toBe(means);
});
