import { afterEach, beforeEach, describe, expect, test } from "vitest";
import i18next from "i18next";
import {
  ago,
  agoChangesIn,
  DAY,
  dateChangesIn,
  HOUR,
  left,
  leftChangesIn,
  MINUTE,
  moment,
  momentFirst,
  momentShort,
  percent,
  rate,
  SECOND,
  size,
  uploadLeft,
} from "./format";

/** Text with its no-break spaces made visible. */
const seen = (text: string) => text.replaceAll("\u00A0", "_");

beforeEach(() => i18next.changeLanguage("en-GB"));
afterEach(() => i18next.changeLanguage("en"));

describe("sizes", () => {
  test.each([
    [0, "0_bytes"],
    [1, "1_byte"],
    [1023, "1,023_bytes"],
    [1024, "1_KiB"],
    [1536, "1.5_KiB"],
    [10 * 1024, "10_KiB"],
    [184 * 1024, "184_KiB"],
    // Never «1,024 KiB».
    [1024 * 1024 - 1, "1_MiB"],
    [2.4 * 1024 ** 2, "2.4_MiB"],
    [9.96 * 1024 ** 2, "10_MiB"],
    [1.8 * 1024 ** 3, "1.8_GiB"],
    [5 * 1024 ** 4, "5_TiB"],
    [5000 * 1024 ** 4, "5,000_TiB"],
  ])("%d bytes are %s", (bytes, words) =>
    expect(seen(size(bytes))).toBe(words),
  );

  test("a rate is a size a second", () =>
    expect(seen(rate(18 * 1024 ** 2))).toBe("18_MiB/s"));
});

test("an upload is at 100 % only when it is done", () => {
  expect(percent(0.9999)).toBe("99%");
  expect(percent(1)).toBe("100%");
  expect(percent(-1)).toBe("0%");
});

describe("what is left", () => {
  test.each([
    [0, "under 1_min left"],
    [59 * SECOND, "under 1_min left"],
    [MINUTE, "1_min left"],
    [8.9 * MINUTE, "8_min left"],
    [58.9 * MINUTE, "58_min left"],
    [59 * MINUTE, "1_h left"],
    [6.9 * HOUR, "6_h left"],
    // A link of a day isn't 23 hours old-to-be from its first second on.
    [DAY - 10 * SECOND, "1_day left"],
    [DAY - 2 * MINUTE, "23_h left"],
    [30 * HOUR, "1_day_6_h left"],
    [2 * DAY, "2_days left"],
    [7 * DAY - SECOND, "7_days left"],
  ])("%d ms: %s", (ms, words) => expect(seen(left(ms))).toBe(words));

  test.each([
    [6 * HOUR + 12 * MINUTE + 59 * SECOND, "6_h_12_min left"],
    [HOUR, "1_h left"],
    [59.9 * MINUTE, "59_min left"],
  ])("exactly, %d ms: %s", (ms, words) =>
    expect(seen(left(ms, true))).toBe(words),
  );

  test("it never promises more than a minute too much", () => {
    for (let ms = MINUTE; ms < 3 * DAY; ms += 37 * SECOND) {
      const words = seen(left(ms));
      const n = (unit: RegExp) => Number(unit.exec(words)?.[1] ?? 0);
      const said =
        n(/(\d+)_day/) * DAY + n(/(\d+)_h/) * HOUR + n(/(\d+)_min/) * MINUTE;
      expect(said - ms, words).toBeLessThanOrEqual(MINUTE);
    }
  });

  test.each([false, true])(
    "it changes exactly when it says that it does (exact: %s)",
    (exact) => {
      for (let ms = MINUTE; ms < 3 * DAY; ms += 61_234) {
        const next = leftChangesIn(ms, exact);
        expect(left(ms - next, exact), `${ms}`).not.toBe(left(ms, exact));
        expect(left(ms - next + 1, exact), `${ms}`).toBe(left(ms, exact));
      }
    },
  );
});

test("what was is told in whole steps", () => {
  expect(ago(59 * SECOND)).toBe("just now");
  expect(seen(ago(2.9 * MINUTE))).toBe("2_min ago");
  expect(seen(ago(HOUR))).toBe("1_h ago");
  expect(seen(ago(3 * DAY))).toBe("3_days ago");
  for (const ms of [0, 61_000, HOUR - 1, HOUR, 5 * HOUR, 2.5 * DAY]) {
    expect(ago(ms + agoChangesIn(ms))).not.toBe(ago(ms));
    expect(ago(ms + agoChangesIn(ms) - 1)).toBe(ago(ms));
  }
});

test("what is left of an upload goes in steps that don't flicker", () => {
  expect(seen(uploadLeft(0))).toBe("5_s left");
  expect(seen(uploadLeft(12))).toBe("15_s left");
  expect(seen(uploadLeft(51))).toBe("1_min left");
  expect(seen(uploadLeft(61))).toBe("2_min left");
  expect(seen(uploadLeft(2 * 3600))).toBe("2_h left");
});

describe("moments", () => {
  const now = new Date(2026, 2, 10, 21, 2).getTime(); // a Tuesday
  const on = (day: number, hour: number, minute: number, month = 2) =>
    new Date(2026, month, day, hour, minute).getTime();

  test.each([
    [on(10, 23, 59), "today_23:59"],
    [on(11, 0, 0), "tomorrow_00:00"],
    [on(11, 20, 14), "tomorrow_20:14"],
    [on(9, 18, 0), "yesterday_18:00"],
    [on(12, 9, 12), "Thursday_09:12"],
    [on(16, 9, 12), "Monday_09:12"],
    [on(17, 9, 12), "17 March_09:12"],
    [on(3, 12, 0), "3 March_12:00"],
    [new Date(2025, 11, 31, 8, 0).getTime(), "31 December 2025_08:00"],
  ])("%d is %s", (at, words) =>
    expect(moment(at, now).replaceAll("\u00A0", "_")).toBe(
      words.replace("_", " "),
    ),
  );

  test("a line begins with a capital", () =>
    expect(momentFirst(on(11, 20, 14), now)).toBe("Tomorrow 20:14"));

  test("a narrow column has short ones", () => {
    expect(momentShort(now - 30_000, now)).toBe("Now");
    expect(momentShort(on(10, 13, 18), now)).toBe("13:18");
    expect(momentShort(on(9, 20, 10), now)).toBe("Mon 20:10");
    expect(momentShort(on(1, 20, 10), now)).toBe("1 Mar");
  });

  test("another language brings its own", async () => {
    await i18next.changeLanguage("de-DE");
    expect(momentFirst(on(11, 20, 14), now)).toBe("Morgen 20:14");
    expect(percent(0.42)).toBe("42\u00A0%");
  });

  test("the date changes at the local midnight", () =>
    expect(dateChangesIn(now)).toBe(3 * HOUR - 2 * MINUTE));
});
