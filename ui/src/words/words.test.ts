// @vitest-environment happy-dom
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { best, speak, t } from ".";
import en from "./en.json";

const PLURAL = /_(zero|one|two|few|many|other)$/;

function keys(node: object, prefix = ""): string[] {
  return Object.entries(node).flatMap(([name, value]) =>
    typeof value === "string"
      ? [prefix + name]
      : keys(value as object, `${prefix}${name}.`),
  );
}

/** What the sources ask for: whole keys, and patterns where a part of a key is put in: `list.do.${action}`. */
function asked(): string[] {
  const src = `${import.meta.dirname}/..`;
  return readdirSync(src, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(svelte|ts)$/.test(name) && !name.endsWith(".test.ts"))
    .flatMap((name) => [
      ...readFileSync(`${src}/${name}`, "utf8").matchAll(
        /\bt\(\s*(?:"([\w.]+)"|`([^`]+)`)/g,
      ),
    ])
    .map(([, whole, pattern = ""]) => whole ?? pattern);
}

test("what is put into a key names a word in a folder of such words", () => {
  const patterns = asked().filter((key) => key.includes("${"));
  expect(patterns).not.toEqual([]);
  // A part of a name, or one among other words, would make all of these count as asked for.
  const folder = /^(\w+\.)+\$\{[^}]*\}$/;
  expect(patterns.filter((key) => !folder.test(key))).toEqual([]);
  const folders = new Set(patterns.map((key) => key.split(".$", 1)[0]));
  const whole = asked().filter((key) => !key.includes("${"));
  const tops = Object.keys(en).filter((top) => folders.has(top));
  expect(
    tops.filter((top) => whole.some((k) => k.startsWith(`${top}.`))),
  ).toEqual([]);
});

test("every key that is asked for is there, and none is there for nothing", () => {
  const known = [...new Set(keys(en).map((key) => key.replace(PLURAL, "")))];
  const wanted = asked().map((key) =>
    RegExp(
      `^${key
        .replace(/\$\{[^}]*\}/, "\0")
        .replaceAll(".", "\\.")
        .replaceAll("\0", "\\w+")}$`,
    ),
  );
  expect(wanted.filter((key) => !known.some((one) => key.test(one)))).toEqual(
    [],
  );
  expect(known.filter((one) => !wanted.some((key) => key.test(one)))).toEqual(
    [],
  );
});

const catalogues = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith(".json"))
  .map((name): [string, object] => [
    name.slice(0, -".json".length),
    JSON.parse(
      readFileSync(`${import.meta.dirname}/${name}`, "utf8"),
    ) as object,
  ]);

test.each(catalogues)("%s has each word, and each plural", (tag, words) => {
  const all = new Set(keys(words));
  const stems = (keys: Iterable<string>) =>
    [...new Set([...keys].map((key) => key.replace(PLURAL, "")))].sort();
  expect(stems(all)).toEqual(stems(keys(en)));
  const forms = new Intl.PluralRules(tag).resolvedOptions().pluralCategories;
  for (const key of all)
    if (PLURAL.test(key))
      for (const form of forms)
        expect(all).toContain(key.replace(PLURAL, `_${form}`));
});

test("what is put into words isn't taken for HTML or for more words", () => {
  expect(t("list.menu", { name: "<b>$t(app.name) {{n}}" })).toBe(
    "Actions for <b>$t(app.name) {{n}}",
  );
});

test("the best of the asked languages is spoken", () => {
  expect(best(["fr-FR", "en-GB", "en"], ["en"])).toBe("en-GB");
  expect(best(["fr-FR"], ["en"])).toBe("en");
  expect(best(["*", "not a tag"], ["en"])).toBe("en");
  speak("en-GB");
  expect(document.documentElement.lang).toBe("en-GB");
  expect(document.documentElement.dir).toBe("ltr");
});
