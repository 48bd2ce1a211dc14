import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Countdown } from "./countdown";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("it runs out once, after its time", () => {
  const over = vi.fn();
  new Countdown(8_000, over);
  vi.advanceTimersByTime(7_999);
  expect(over).not.toHaveBeenCalled();
  vi.advanceTimersByTime(100_000);
  expect(over).toHaveBeenCalledOnce();
});

test("while it is held no time passes", () => {
  const over = vi.fn();
  const countdown = new Countdown(8_000, over);
  vi.advanceTimersByTime(5_000);
  countdown.hold();
  countdown.hold();
  vi.advanceTimersByTime(60_000);
  expect(over).not.toHaveBeenCalled();
  countdown.run();
  vi.advanceTimersByTime(2_999);
  expect(over).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  expect(over).toHaveBeenCalledOnce();
});
