// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Clock } from "./clock.svelte";
import { DAY, HOUR, leftChangesIn, MINUTE } from "./format";

let hidden = false;
const turn = (to: boolean) => {
  hidden = to;
  document.dispatchEvent(new Event("visibilitychange"));
};

beforeEach(() => {
  hidden = false;
  vi.spyOn(document, "hidden", "get").mockImplementation(() => hidden);
  vi.useFakeTimers({ now: 0 });
});
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const stops: (() => void)[] = [];
/** A clock that is asked by nobody any more when its test is over. */
const watch = (clock: Clock, next: () => number) =>
  void stops.push(clock.watch(next));

/** How often the clock looks while `ms` pass. */
async function looks(ms: number): Promise<number> {
  const set = vi.spyOn(globalThis, "setTimeout");
  await vi.advanceTimersByTimeAsync(ms);
  const count = set.mock.calls.length;
  set.mockRestore();
  return count;
}

test("a row with hours left is asked and drawn once an hour", async () => {
  const clock = new Clock();
  const next = vi.fn(() => leftChangesIn(DAY - Date.now()));
  watch(clock, next);
  const drawn = new Set<number>();
  for (let at = 0; at < 300; at++) {
    await vi.advanceTimersByTimeAsync(MINUTE);
    drawn.add(clock.now);
  }
  expect(next.mock.calls.length).toBeLessThanOrEqual(6);
  expect(drawn.size).toBeLessThanOrEqual(6);
  expect(clock.now).toBeGreaterThan(4 * HOUR);
});

/** Timers don't count the time in which a computer sleeps. */
const suspend = (ms: number) => vi.setSystemTime(Date.now() + ms);

test("after the computer slept the time is right within a minute", async () => {
  const clock = new Clock();
  watch(clock, () => 2 * HOUR - Date.now());
  await vi.advanceTimersByTimeAsync(MINUTE);
  suspend(8 * HOUR);
  expect(clock.now).toBe(0);
  await vi.advanceTimersByTimeAsync(MINUTE);
  expect(clock.now).toBeGreaterThan(8 * HOUR);
});

test("a window that gets the focus is right at once, and isn't drawn for nothing", async () => {
  const clock = new Clock();
  watch(clock, () => 2 * HOUR - Date.now());
  await vi.advanceTimersByTimeAsync(HOUR);
  window.dispatchEvent(new Event("focus"));
  expect(clock.now).toBe(0);
  suspend(8 * HOUR);
  window.dispatchEvent(new Event("focus"));
  expect(clock.now).toBe(9 * HOUR);
});

test("when nobody asks any more, the clock stops", async () => {
  const clock = new Clock();
  const stop = clock.watch(() => HOUR);
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(1);
  stop();
  await vi.advanceTimersByTimeAsync(MINUTE);
  expect(vi.getTimerCount()).toBe(0);
});

test("a thousand rows with the same minute share one wake", async () => {
  const clock = new Clock();
  for (let at = 0; at < 1_000; at++)
    watch(clock, () => leftChangesIn(50 * MINUTE + at / 10 - Date.now()));
  await vi.advanceTimersByTimeAsync(0);
  expect(await looks(10 * MINUTE)).toBeLessThanOrEqual(11);
});

test("without anything that changes there is no timer", async () => {
  const clock = new Clock();
  watch(clock, () => Infinity);
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(0);
});

test("nothing ticks while the window is hidden, and it is right at once when it is shown", async () => {
  const clock = new Clock();
  watch(clock, () => MINUTE);
  await vi.advanceTimersByTimeAsync(0);
  turn(true);
  expect(vi.getTimerCount()).toBe(0);
  await vi.advanceTimersByTimeAsync(HOUR);
  expect(clock.now).toBe(0);
  turn(false);
  expect(clock.now).toBe(HOUR);
  await vi.advanceTimersByTimeAsync(0);
  expect(vi.getTimerCount()).toBe(1);
});

test("who asks while it sleeps is heard", async () => {
  const clock = new Clock();
  watch(clock, () => HOUR);
  await vi.advanceTimersByTimeAsync(0);
  watch(clock, () => 1_000 - Date.now());
  await vi.advanceTimersByTimeAsync(1_300);
  expect(clock.now).toBeGreaterThanOrEqual(1_000);
});

test("who was asked isn't asked again when others come", async () => {
  const clock = new Clock();
  const next = vi.fn(() => HOUR);
  watch(clock, next);
  await vi.advanceTimersByTimeAsync(0);
  for (let at = 0; at < 10; at++) {
    watch(clock, () => Infinity);
    await vi.advanceTimersByTimeAsync(0);
  }
  expect(next).toHaveBeenCalledTimes(1);
});
