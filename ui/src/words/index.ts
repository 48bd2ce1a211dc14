// Every word of the window, by i18next; plurals by Intl.PluralRules.
import i18next, { type TFunction } from "i18next";

/** The catalogues, by language. Another language is a file more in this folder, named by its tag. */
const files = import.meta.glob<object>("./*.json", {
  eager: true,
  import: "default",
});
const catalogues = Object.fromEntries(
  Object.entries(files).map(([path, translation]) => [
    path.slice("./".length, -".json".length),
    { translation },
  ]),
);

/** The languages that there are words for. */
export const languages = Object.keys(catalogues);

void i18next.init({
  lng: "en",
  fallbackLng: "en",
  resources: catalogues,
  initAsync: false,
  // Svelte escapes what it draws.
  interpolation: { escapeValue: false },
});

/** The words of a key, with what is to be put into them. A key that isn't in en.json doesn't compile. */
export const t: TFunction = i18next.t;

/** The language of words, dates and numbers: a catalogue's, with the region that the person's system names. */
export const language = () => i18next.language;

/** Takes a language's tag, or `system`, and makes the page say so. */
export function speak(tag: string) {
  const asked = tag === "system" ? navigator.languages : [tag];
  const chosen = best(asked, languages);
  if (chosen !== i18next.language) void i18next.changeLanguage(chosen);
  document.documentElement.lang = chosen;
  document.documentElement.dir = i18next.dir(chosen);
}

/** The first of the asked languages that there are words for, its region kept; English when there is none. */
export function best(asked: readonly string[], known: string[]): string {
  for (const tag of asked) {
    try {
      const locale = new Intl.Locale(tag);
      if (known.includes(locale.language)) return locale.baseName;
    } catch {
      // Not a tag: the next one.
    }
  }
  return "en";
}
