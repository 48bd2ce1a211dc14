import { expect, test } from "vitest";
import { limitOf, mebibytesOf } from "./speed";

test("a limit is a positive speed that a network can have", () => {
  expect(limitOf(1)).toBe(1_048_576);
  expect(limitOf(0.5)).toBe(524_288);
  expect(limitOf(0)).toBeUndefined();
  expect(limitOf(-1)).toBeUndefined();
  expect(limitOf(NaN)).toBeUndefined();
  expect(limitOf(null)).toBeUndefined();
  expect(limitOf(10_001)).toBeUndefined();
  expect(mebibytesOf(1_572_864)).toBe(1.5);
});
