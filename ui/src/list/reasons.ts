import type { Failure } from "../bindings";
import { safeName } from "../parts/name";
import { sentence } from "../parts/sentence";
import { t } from "../words";

/** Something that wasn't shared, and why. */
export type Refusal = { name: string; failure: Failure };

export type Reason = { text: string; hint: string; of: number };

/** Each reason once, the newest first, with how many it is given for: a storage that is away says the same of each
 * file. One file is named. */
export function reasonsOf(refusals: readonly Refusal[]): Reason[] {
  const same = new Map<string, Refusal[]>();
  for (const refusal of [...refusals].reverse()) {
    const { message, hint } = refusal.failure;
    const key = `${message}\n${hint}`;
    same.set(key, [...(same.get(key) ?? []), refusal]);
  }
  return [...same.values()].map((of) => {
    const [{ name, failure }] = of as [Refusal];
    const text = sentence(failure.message);
    const shown = safeName(name);
    const isNamed = of.length > 1 || !shown || text.includes(shown);
    return {
      text: isNamed ? text : t("list.not_shared_one_of", { name: shown, text }),
      hint: sentence(failure.hint),
      of: of.length,
    };
  });
}
