// The steps of a rotation, as its sheet tells them.
import type { RotationStep } from "../bindings";
import { number } from "../format";
import { t } from "../words";

/** What a rotation is about. */
export type About = {
  profile: string;
  /** Shares whose links end. */
  links: number;
  /** Those that get a new one. */
  kept: number;
  /** Whether the person makes the new key and switches the old one off. */
  byHand: boolean;
};

export type Step = { words: string; at: "done" | "now" | "wait" };

/** An access key's id, short enough for a line: «AKIA…X7». */
export const shortKey = (key: string) =>
  key.length > 10 ? `${key.slice(0, 4)}…${key.slice(-2)}` : key;

/** `refused`: whether every old link was seen to be refused. */
export function stepsOf(
  about: About,
  told: readonly RotationStep[],
  refused: boolean,
): Step[] {
  const has = (is: RotationStep["is"]) => told.some((step) => step.is === is);
  const signed = told.find((step) => step.is === "signed");
  const hand = told.find((step) => step.is === "by_hand");
  const kept = signed?.kept ?? about.kept;
  const isOff = has("off") || (hand !== undefined && refused);
  const all: [words: string, done: boolean][] = [
    [t("revoke_all.step_stored"), has("stored")],
    [
      kept > 0
        ? t("revoke_all.step_signed", { count: kept, n: number(kept) })
        : t("revoke_all.step_signs"),
      signed !== undefined,
    ],
    [
      hand
        ? t("revoke_all.step_by_hand", { key: shortKey(hand.access_key) })
        : isOff
          ? t("revoke_all.step_off")
          : t("revoke_all.step_offs"),
      isOff,
    ],
    [t("revoke_all.step_asks"), refused],
  ];
  if (!about.byHand) all.unshift([t("revoke_all.step_made"), has("made")]);
  const next = all.findIndex(([, done]) => !done);
  return all.map(([words, done], at) => ({
    words,
    at: done ? "done" : at === next ? "now" : "wait",
  }));
}
