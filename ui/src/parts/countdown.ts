/** A time that runs out once, and can be held. */
export class Countdown {
  #left: number;
  #since = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    ms: number,
    private readonly over: () => void,
  ) {
    this.#left = ms;
    this.run();
  }

  hold() {
    if (this.#timer === undefined) return;
    this.stop();
    this.#left -= Date.now() - this.#since;
  }
  run() {
    if (this.#timer !== undefined) return;
    this.#since = Date.now();
    this.#timer = setTimeout(this.over, this.#left);
  }
  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
