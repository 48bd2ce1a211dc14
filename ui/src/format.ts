// Sizes, times and durations for a person to read. Numbers and dates by Intl, the words from the catalogue; a number
// and its unit are joined by a no-break space there.
import { language, t } from "./words";

export const SECOND = 1000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

// Making a formatter takes longer than using one, and a list uses them for every row.
const kept = new Map<string, unknown>();
function once<T>(name: string, make: (tag: string) => T): T {
  const key = `${language()} ${name}`;
  if (!kept.has(key)) kept.set(key, make(language()));
  return kept.get(key) as T;
}

export const number = (value: number, fraction = 0) =>
  once(
    `number ${fraction}`,
    (tag) => new Intl.NumberFormat(tag, { maximumFractionDigits: fraction }),
  ).format(value);

/** A share of one, in whole percent, rounded down: 100 % is shown when it is done. */
export const percent = (part: number) =>
  once(
    "percent",
    (tag) => new Intl.NumberFormat(tag, { style: "percent" }),
  ).format(Math.floor(Math.min(Math.max(part, 0), 1) * 100) / 100);

/** Bytes in steps of 1024, named for what they are (KiB, MiB): file managers disagree about the size of a «MB». */
export function size(bytes: number): string {
  if (bytes < 1024)
    return t("format.bytes", { count: bytes, n: number(bytes) });
  let value = bytes;
  let step = -1;
  // 1023.6 KiB would be rounded to 1024 KiB.
  while (step < 0 || (step < 3 && value >= 1023.5)) {
    value /= 1024;
    step++;
  }
  const n = number(value, value < 9.95 ? 1 : 0);
  return [
    t("format.kib", { n }),
    t("format.mib", { n }),
    t("format.gib", { n }),
    t("format.tib", { n }),
  ][step]!;
}

export const rate = (bytesPerSecond: number) =>
  t("format.rate", { size: size(Math.round(bytesPerSecond)) });

const days = (n: number) => t("format.days", { count: n, n: number(n) });
const hours = (n: number) => t("format.hours", { n: number(n) });
const minutes = (n: number) => t("format.minutes", { n: number(n) });

/**
 * What is left of a life is rounded down, so that a link never lives shorter than it says; but a link of a day isn't
 * «23 h» from its first second on, so hours and days are given the minute that they began with.
 */
const SLACK = MINUTE;

/** The parts of a duration that are shown, and the step in which the shown text changes. */
function shown(ms: number, exact: boolean): { words: string; step: number } {
  const slack = ms + SLACK;
  if (slack >= 2 * DAY)
    return { words: days(Math.floor(slack / DAY)), step: DAY };
  if (slack >= DAY) {
    const over = Math.floor((slack - DAY) / HOUR);
    return { words: two(days(1), over && hours(over)), step: HOUR };
  }
  if (slack >= HOUR && exact && ms >= HOUR) {
    const over = Math.floor((ms % HOUR) / MINUTE);
    return {
      words: two(hours(Math.floor(ms / HOUR)), over && minutes(over)),
      step: MINUTE,
    };
  }
  if (slack >= HOUR && !exact)
    return { words: hours(Math.floor(slack / HOUR)), step: HOUR };
  return { words: minutes(Math.floor(ms / MINUTE)), step: MINUTE };
}
const two = (first: string, second: string | 0) =>
  second ? t("format.two", { first, second }) : first;

/** How long a link still lives: «6 h left»; `exact`: «6 h 12 min left». */
export function left(ms: number, exact = false): string {
  if (ms === Infinity) return t("format.left_unknown");
  if (!(ms >= MINUTE)) return t("format.left_none");
  return t("format.left", { time: shown(ms, exact).words });
}

/** In how many milliseconds `left` says something else. */
export function leftChangesIn(ms: number, exact = false): number {
  if (ms < MINUTE) return Math.max(ms, 0);
  const { step } = shown(ms, exact);
  return ((step === MINUTE ? ms : ms + SLACK) % step) + 1;
}

/** How long ago something was: «2 min ago». */
export function ago(ms: number): string {
  if (ms < MINUTE) return t("format.ago_none");
  const time =
    ms < HOUR
      ? minutes(Math.floor(ms / MINUTE))
      : ms < DAY
        ? hours(Math.floor(ms / HOUR))
        : days(Math.floor(ms / DAY));
  return t("format.ago", { time });
}

/** In how many milliseconds `ago` says something else. */
export function agoChangesIn(ms: number): number {
  const step = ms < HOUR ? MINUTE : ms < DAY ? HOUR : DAY;
  return step - (Math.max(ms, 0) % step);
}

/** What is left of an upload, in steps that a person can follow. */
export function uploadLeft(seconds: number): string {
  if (seconds >= 3600) return left((seconds / 3600) * HOUR + MINUTE);
  if (seconds > 50)
    return t("format.left", { time: minutes(Math.ceil(seconds / 60)) });
  const n = Math.max(Math.ceil(seconds / 5) * 5, 5);
  return t("format.left", {
    time: t("format.seconds", { n: number(n) }),
  });
}

/** The last moment that a calendar has: what is later, or no number, would throw. */
const LAST = 8.64e15 - DAY;
const inCalendar = (at: number) =>
  Number.isNaN(at) ? 0 : Math.min(Math.max(at, -LAST), LAST);

export const time = (at: number) =>
  once("time", (tag) => new Intl.DateTimeFormat(tag, { timeStyle: "short" }))
    .format(inCalendar(at))
    // Some engines let «2:55 PM» break before its end.
    .replaceAll(" ", "\u00A0");

/** Whole days between the local dates of two moments. */
function daysBetween(from: number, to: number): number {
  const midnight = (at: number) => {
    const date = new Date(inCalendar(at));
    return Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  };
  return Math.round((midnight(to) - midnight(from)) / DAY);
}

function day(when: number, now: number, weekday: "long" | "short"): string {
  const at = inCalendar(when);
  const off = daysBetween(now, at);
  if (Math.abs(off) <= 1)
    return once(
      "day",
      (tag) => new Intl.RelativeTimeFormat(tag, { numeric: "auto" }),
    ).format(off, "day");
  if (Math.abs(off) < 7)
    return once(
      `weekday ${weekday}`,
      (tag) => new Intl.DateTimeFormat(tag, { weekday }),
    ).format(at);
  const sameYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  const month = weekday === "long" ? "long" : "short";
  return once(
    `date ${month} ${sameYear}`,
    (tag) =>
      new Intl.DateTimeFormat(tag, {
        day: "numeric",
        month,
        ...(!sameYear && { year: "numeric" }),
      }),
  ).format(at);
}

/** A moment that a person can plan by: «tomorrow 20:14», «Monday 09:12», «3 March 12:00». */
export const moment = (at: number, now: number) =>
  t("format.day_time", { day: day(at, now, "long"), time: time(at) });

/** The same where it begins a line: «Tomorrow 20:14». */
export function momentFirst(at: number, now: number): string {
  const [first = "", ...rest] = moment(at, now);
  return first.toLocaleUpperCase(language()) + rest.join("");
}

/** A moment as a part of a file's name, which sorts by time: «2026-03-17 11.02.41». */
export function stamp(at: number): string {
  const local = at - new Date(at).getTimezoneOffset() * MINUTE;
  const [date = "", clock = ""] = new Date(local).toISOString().split("T");
  return `${date} ${clock.slice(0, 8).replaceAll(":", ".")}`;
}

export const isToday = (at: number, now: number) => daysBetween(now, at) === 0;

/** The same in a narrow column: «13:18», «Mon 20:10». */
export function momentShort(when: number, now: number): string {
  const at = inCalendar(when);
  if (Math.abs(now - at) < MINUTE) return t("format.now");
  if (isToday(at, now)) return time(at);
  if (daysBetween(at, now) < 7)
    return t("format.day_time", {
      day: once(
        "weekday short",
        (tag) => new Intl.DateTimeFormat(tag, { weekday: "short" }),
      ).format(at),
      time: time(at),
    });
  return day(at, now, "short");
}

/** In how many milliseconds the local date changes: «tomorrow» is «today» then. */
export function dateChangesIn(now: number): number {
  const next = new Date(now);
  next.setHours(24, 0, 0, 0);
  return next.getTime() - now;
}
