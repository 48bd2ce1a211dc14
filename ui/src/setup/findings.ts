// What a storage check found, in the window's words.
import type { Finding } from "../bindings";
import en from "../words/en.json";
import { t } from "../words";
import type { IconName } from "../parts/icons";

/** The lines of a check in the order in which they are tried. */
export const STEPS = [
  "write",
  "read",
  "clock",
  "link_works",
  "link_ends",
  "tampered_link",
  "other_object",
  "private",
  "conditional_put",
  "multipart",
  "lifecycle",
  "clean_up",
] as const satisfies (keyof (typeof en)["setup"]["finding"])[];
type Step = (typeof STEPS)[number];

/** Limits of a provider that no link suffers from; any other warning is a reason to think twice. */
const LIMITS: string[] = ["lifecycle"];

/** What is tried for things that the window doesn't offer. */
const ELSEWHERE: string[] = ["post_form", "rotation"];

/** The lines of a check that say something about what the window does, each once, as it was told last. */
export const telling = (findings: readonly Finding[]): Finding[] =>
  [...new Map(findings.map((one) => [one.name, one])).values()].filter(
    ({ name }) => !ELSEWHERE.includes(name),
  );

const isStep = (name: string): name is Step =>
  (STEPS as readonly string[]).includes(name);

/** The short name of what was tried; undefined when this window doesn't know it. */
export const titleOf = (name: string) =>
  isStep(name) ? t(`setup.finding.${name}`) : undefined;

/** What is tried after these lines; undefined: nothing more that is known of. */
export function nextStep(findings: readonly Finding[]): Step | undefined {
  const last = findings
    .map(({ name }) => name)
    .filter(isStep)
    .at(-1);
  return last ? STEPS[STEPS.indexOf(last) + 1] : STEPS[0];
}

/** A line's icon and the word at its end. */
export function markOf({ verdict }: Finding): {
  icon: IconName;
  word: string;
} {
  if (verdict === "pass") return { icon: "check", word: t("setup.pass") };
  if (verdict === "fail") return { icon: "x", word: t("setup.fail") };
  return { icon: "warning", word: t("setup.differs") };
}

/** What a whole check means: `ready`; `limits`: usable as it is; `doubt`: usable, against advice; `broken`: not. */
export function verdictOf(
  findings: readonly Finding[],
): "ready" | "limits" | "doubt" | "broken" {
  const warned = findings.filter(({ verdict }) => verdict === "warn");
  if (findings.some(({ verdict }) => verdict === "fail") || !findings.length)
    return "broken";
  if (!warned.length) return "ready";
  return warned.every(({ name }) => LIMITS.includes(name)) ? "limits" : "doubt";
}

/** How many lines have this verdict. */
export const count = (
  findings: readonly Finding[],
  verdict: Finding["verdict"],
) => findings.filter((finding) => finding.verdict === verdict).length;
