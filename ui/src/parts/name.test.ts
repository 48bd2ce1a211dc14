import { expect, test } from "vitest";
import { safeName, splitName } from "./name";

test.each([
  ["deploy.sh", "deploy.sh", ""],
  ["invoice-0317.pdf", "invoice-0317.pdf", ""],
  ["coast-walk_final-cut.mov", "coast-walk_fina", "l-cut.mov"],
  ["backup-2026-03-01.tar.gz", "backup-2026-03-0", "1.tar.gz"],
  ["no-extension-but-long", "no-extension-but", "-long"],
  [".a-hidden-file-of-some-length", ".a-hidden-file-of-some-l", "ength"],
  [
    "ends.with-something-that-is-no-extension",
    "ends.with-something-that-is-no-exte",
    "nsion",
  ],
  ["", "", ""],
])("%s is shown as %s and %s", (name, head, tail) => {
  expect(splitName(name)).toMatchObject({ head, tail });
  expect(head + tail).toBe(safeName(name));
});

test("a right-to-left name keeps its extension as the tail", () =>
  expect(splitName("تقرير المبيعات النهائي.pdf")).toEqual({
    head: "تقرير المبيعات النهائي",
    tail: ".pdf",
    rtl: true,
  }));

test("a letter of many characters is never cut", () => {
  const family = "👨‍👩‍👧‍👦";
  const { head, tail } = splitName(`${family.repeat(20)}.jpg`);
  expect(tail).toBe(`${family.repeat(5)}.jpg`);
  expect(head).toBe(family.repeat(15));
});

test("what turns text around or breaks a line is shown as a mark", () => {
  expect(safeName("invoice\u202Efdp.exe")).toBe("invoice\uFFFDfdp.exe");
  for (const bad of "\u202A\u202B\u202C\u202D\u202E\u2066\u2067\u2068\u2069\n\r\t\u0000\u2028")
    expect(safeName(`a${bad}b`)).toBe("a\uFFFDb");
  expect(safeName("é 日本 👩‍🚀 <img>.png")).toBe("é 日本 👩‍🚀 <img>.png");
});
