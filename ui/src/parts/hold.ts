/** How long the button of the dangerous press is held, in milliseconds. */
export const HOLD = 1_500;
/** For how long a press from the keyboard waits for the second one. */
export const ARMED = 5_000;

/** What a press without a pointer does: the first arms the button, the second is meant. */
export type Press = { armedUntil: number };

/** Whether the press at `now` is the second one, and what the button is then. */
export function press(before: Press, now: number): [boolean, Press] {
  return now < before.armedUntil
    ? [true, { armedUntil: 0 }]
    : [false, { armedUntil: now + ARMED }];
}
