import { expect, test } from "vitest";
import type { RotationStep } from "../bindings";
import { shortKey, stepsOf, type About } from "./steps";

const about: About = { profile: "studio", links: 12, kept: 3, byHand: false };
const made: RotationStep[] = [
  { is: "made" },
  { is: "stored" },
  { is: "works" },
];
const at = (...given: Parameters<typeof stepsOf>) =>
  stepsOf(...given).map((step) => step.at);

test("each step is done, the next is worked on, the others wait", () => {
  expect(at(about, [], false)).toEqual(["now", "wait", "wait", "wait", "wait"]);
  expect(at(about, made, false)).toEqual([
    "done",
    "done",
    "now",
    "wait",
    "wait",
  ]);
  const off: RotationStep[] = [
    ...made,
    { is: "signed", kept: 3 },
    { is: "off" },
  ];
  expect(at(about, off, false).slice(-2)).toEqual(["done", "now"]);
  expect(at(about, off, true)).toEqual(Array(5).fill("done"));
});

test("the step says what is done only when it is", () => {
  const words = (told: RotationStep[]) =>
    stepsOf(about, told, false).map((step) => step.words);
  expect(words([])).toContain("Switching the old key off");
  expect(words([{ is: "off" }])).toContain("Old key switched off");
  expect(words([])).toContain("3 links signed again");
  expect(words([{ is: "signed", kept: 2 }])).toContain("2 links signed again");
  const none = stepsOf({ ...about, kept: 0 }, [], false);
  expect(none[2]?.words).toBe("It signs from now on");
});

test("a key that a person switches off is off once its links are refused", () => {
  const told: RotationStep[] = [
    { is: "stored" },
    { is: "signed", kept: 0 },
    { is: "by_hand", access_key: "AKIAEXAMPLE7" },
  ];
  const hand = { ...about, byHand: true };
  expect(at(hand, told, false)).toEqual(["done", "done", "now", "wait"]);
  expect(stepsOf(hand, told, false)[2]?.words).toContain("AKIA…E7");
  expect(at(hand, told, true)).toEqual(Array(4).fill("done"));
});

test("a long key is shortened", () => {
  expect(shortKey("AKIAIOSFODNN7EXAMPX7")).toBe("AKIA…X7");
  expect(shortKey("GK31c2f218")).toBe("GK31c2f218");
});
