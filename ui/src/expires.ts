// How long links last, as preferences and commands write it: `15m`, `6h`, `7d`.
import { DAY, HOUR, MINUTE, number } from "./format";
import { t } from "./words";

export const UNITS = ["m", "h", "d"] as const;
export type Unit = (typeof UNITS)[number];
const LENGTH: Record<Unit, number> = { m: MINUTE, h: HOUR, d: DAY };

/** What is offered without typing. */
export const COMMON = ["1h", "1d", "3d", "7d"];
/** Signed links live no longer. */
const LONGEST = 7 * DAY;

/** The milliseconds of a duration; undefined when it isn't one that a link can have. */
export function milliseconds(expires: string): number | undefined {
  const [, digits, unit] = /^(\d{1,6})([mhd])$/.exec(expires) ?? [];
  if (!digits || !unit) return undefined;
  const ms = Number(digits) * LENGTH[unit as Unit];
  return ms >= MINUTE && ms <= LONGEST ? ms : undefined;
}

/** The words of a duration: «1 day», «36 hours». */
export function words(expires: string): string {
  const count = parseInt(expires);
  const n = number(count);
  switch (expires.at(-1)) {
    case "m":
      return t("list.minutes", { count, n });
    case "h":
      return t("list.hours", { count, n });
    default:
      return t("list.days", { count, n });
  }
}
