// @vitest-environment happy-dom
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { failureOf, noticesOf, told } from "./failure";
import en from "./words/en.json";

const failure = (code: string, message: string, hint: string) => ({
  code,
  message,
  hint,
});

/** Every text in core that speaks of the command line, as it would arrive here. */
function spokenToTheCommandLine(): string[] {
  const core = `${import.meta.dirname}/../../src-tauri/core/src`;
  return readdirSync(core, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".rs"))
    .flatMap((name) =>
      readFileSync(`${core}/${name}`, "utf8")
        .split("\n")
        .filter((line) => !/^\s*\/\//.test(line))
        .flatMap((line) => line.match(/"(?:[^"\\]|\\.)*"/g) ?? []),
    )
    .map((literal) => literal.slice(1, -1))
    .filter((text) => / --[a-z]|\blapse [a-z]+ |`lapse /.test(text));
}
const COMMAND = / --|\blapse (profile|store|list|share|extend|revoke)|`|LAPSE_/;

test("no hint of core names a command in the window", () => {
  const texts = spokenToTheCommandLine();
  expect(texts.length).toBeGreaterThan(15);
  for (const hint of texts)
    for (const code of [...Object.keys(en.failure), "internal"]) {
      const shown = told(failure(code, "it went wrong", hint));
      expect(shown, hint).not.toMatch(COMMAND);
      expect(noticesOf([hint]), hint).not.toMatch(COMMAND);
      if (code !== "internal") expect(shown).not.toBe("It went wrong.");
    }
});

test("a hint that helps here is kept, whatever the code", () => {
  const hint = "Make room on this disk, then try again.";
  expect(told(failure("store", "the disk is full", hint))).toBe(
    `The disk is full. ${hint}`,
  );
});

test("what is missing isn't drawn as a lone full stop", () => {
  expect(told(failure("storage", "it broke", ""))).toBe("It broke.");
  expect(told(failure("storage", "", ""))).toBe("That didn’t work.");
  expect(failureOf("a string").message).toBe("A string");
  expect(failureOf(failure("toString", "a", "`lapse list`")).hint).toBe("");
});

test("a host or a file at the beginning keeps its letters", () => {
  const begins = (message: string) =>
    failureOf(failure("x", message, "")).message;
  expect(begins("s3.example.com can't be reached")).toBe(
    "s3.example.com can't be reached",
  );
  expect(begins("the keychain is locked")).toBe("The keychain is locked");
});

test("a name in a message can't turn it around", () => {
  expect(told(failure("x", "“a\u202Eb\n” is gone", "Drop\u202E it."))).toBe(
    "“a\uFFFDb\uFFFD” is gone. Drop\uFFFD it.",
  );
});

test("of a notice the part stays that helps here", () => {
  expect(
    noticesOf([
      "This link works only here. To reach others, add a bucket: lapse profile add --help",
      "the clipboard is busy. Copy it again.",
    ]),
  ).toBe("This link works only here. The clipboard is busy. Copy it again.");
});
