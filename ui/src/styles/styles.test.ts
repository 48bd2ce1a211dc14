// What is drawn with has a user: a class or an icon that nobody names would stay for ever.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const src = `${import.meta.dirname}/..`;
const read = (name: string) => readFileSync(`${src}/${name}`, "utf8");

const drawn = readdirSync(src, { recursive: true, encoding: "utf8" })
  .filter((name) => /\.(svelte|ts)$/.test(name) && !name.endsWith(".test.ts"))
  .filter((name) => !name.endsWith("Sprite.svelte"));

/** The names of classes whose end is put in, and the ends that there are. */
const ENDS: Record<string, string[]> = {
  "cap--": ["pass", "warn", "fail"],
  "chip--": ["warn", "danger", "busy"],
  "icon--": ["s", "l", "xl"],
  "notice--": ["ok", "warn", "danger", "info"],
  "step--": ["done", "now", "wait"],
  "toast--": ["ok", "info", "danger"],
};

/** Whatever stands in quotes, word by word. */
const quoted = new Set<string>();
/** Names whose end is put in. */
const begun = new Set<string>();
for (const name of drawn) {
  // No use: the type that names all icons, keys of words, and files.
  const text = read(name)
    .replace(/export type IconName =[^;]*;/, "")
    .replace(/\bt\(\s*(["`])[^]*?\1/g, "")
    .replace(/(from|import) "[^"]*"/g, "");
  for (const [, a, b] of text.matchAll(/"([^"\n]*)"|`([^`\n]*)`/g)) {
    const words = (a ?? b ?? "").split(/[\s[\]()=,:>.]+/);
    for (const word of words) quoted.add(word);
    for (const word of words) {
      const [head = "", end] = word.split(/\$?\{/, 2);
      if (end !== undefined && head.endsWith("--")) begun.add(head);
    }
  }
}
for (const [head, ends] of Object.entries(ENDS))
  for (const end of ends) quoted.add(head + end);

const sheets = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith(".css"))
  .map((name) => read(`styles/${name}`).replace(/\/\*[^]*?\*\//g, ""));

test("every value of the look has a user", () => {
  const css = sheets.join("\n");
  const values = [...css.matchAll(/^\s*(--[\w-]+):/gm)].map(([, one]) => one);
  expect(values.length).toBeGreaterThan(50);
  expect(values.filter((one) => !RegExp(`var\\(${one}[,)]`).test(css))).toEqual(
    [],
  );
});

test("every class of the styles has a user", () => {
  expect([...begun].sort()).toEqual(Object.keys(ENDS));
  const classes = sheets.flatMap((css) =>
    // What stands before a brace: selectors, and no declarations.
    [...css.matchAll(/[^{};]+(?=\{)/g)].flatMap(([selector]) =>
      [...selector.matchAll(/\.(-?[a-z][\w-]*)/gi)].map(([, one = ""]) => one),
    ),
  );
  expect(classes.length).toBeGreaterThan(100);
  const unused = [...new Set(classes)].filter((one) => !quoted.has(one));
  expect(unused).toEqual([]);
});

test("every icon is drawn once and has a user", () => {
  const [, union = ""] =
    /export type IconName =([^;]*);/.exec(read("parts/icons.ts")) ?? [];
  const names = [...union.matchAll(/"([\w-]+)"/g)].map(([, one = ""]) => one);
  const symbols = [
    ...read("parts/Sprite.svelte").matchAll(/<symbol id="i-([\w-]+)"/g),
  ].map(([, one = ""]) => one);
  expect(symbols.sort()).toEqual([...names].sort());
  expect(names.filter((one) => !quoted.has(one))).toEqual([]);
});
