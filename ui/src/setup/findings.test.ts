import { expect, test } from "vitest";
import type { Finding } from "../bindings";
import {
  count,
  markOf,
  nextStep,
  telling,
  titleOf,
  verdictOf,
} from "./findings";

const found = (name: string, verdict: Finding["verdict"] = "pass") => ({
  name,
  verdict,
  text: "",
});

test("a storage is ready when all passed, usable with limits, doubtful or broken", () => {
  const fine = [found("write"), found("link_works")];
  expect(verdictOf(fine)).toBe("ready");
  expect(verdictOf([...fine, found("lifecycle", "warn")])).toBe("limits");
  expect(verdictOf([...fine, found("link_ends", "warn")])).toBe("doubt");
  expect(verdictOf([...fine, found("something_new", "warn")])).toBe("doubt");
  expect(
    verdictOf([...fine, found("lifecycle", "warn"), found("private", "fail")]),
  ).toBe("broken");
  expect(verdictOf([])).toBe("broken");
});

test("what is tried next follows the last line that is known", () => {
  expect(nextStep([])).toBe("write");
  expect(nextStep([found("write")])).toBe("read");
  expect(nextStep([found("write"), found("something_new")])).toBe("read");
  expect(nextStep([found("clean_up")])).toBeUndefined();
});

test("each line has a word; an unknown one has no title", () => {
  expect(markOf(found("write")).word).toBe("Pass");
  expect(markOf(found("write", "fail")).word).toBe("Failed");
  expect(markOf(found("clock", "warn")).word).toBe("Caution");
  expect(titleOf("link_ends")).toBe("Expiry enforced");
  expect(titleOf("something_new")).toBeUndefined();
  expect(titleOf("toString")).toBeUndefined();
});

test("lines are counted by verdict", () => {
  const lines = [found("a"), found("b", "warn"), found("c", "warn")];
  expect(count(lines, "warn")).toBe(2);
  expect(count(lines, "fail")).toBe(0);
});

test("what the window doesn't offer isn't told of", () => {
  const ends = found("link_ends");
  expect(
    telling([found("post_form", "warn"), ends, found("rotation")]),
  ).toEqual([ends]);
});
