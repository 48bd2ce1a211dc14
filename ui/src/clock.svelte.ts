// The one timer of the window. Whoever shows a time says when its words change next; the clock sleeps until the first
// of these moments, and as long as the window is hidden.

/** Timers don't count the time in which the computer sleeps: after that, the clock is right this soon. */
const LONGEST_SLEEP = 60 * 1000;
/** Changes that are this near are drawn together. */
const TOGETHER = 250;

export class Clock {
  /** The moment that is shown, by this computer's clock. */
  now = $state(Date.now());

  readonly #asked: (() => number)[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the first words change. */
  #due = Infinity;
  /** Who hasn't been asked yet. */
  #fresh: (() => number)[] = [];

  constructor() {
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#stop();
      else this.#tick();
    });
    window.addEventListener("focus", () => this.#wake());
  }

  /** `next` gives the milliseconds until what it speaks for changes; Infinity: never. Gives how to stop asking. */
  watch(next: () => number): () => void {
    this.#asked.push(next);
    // Rows come in numbers while the list scrolls: one plan for all of them, and who was asked isn't asked again.
    if (this.#fresh.push(next) === 1)
      queueMicrotask(() => {
        const fresh = this.#fresh.filter((ask) => this.#asked.includes(ask));
        this.#fresh = [];
        this.#plan(fresh);
      });
    return () => {
      const at = this.#asked.indexOf(next);
      if (at >= 0) this.#asked.splice(at, 1);
    };
  }

  /** What is shown from now on goes by this moment. */
  look() {
    this.now = Date.now();
  }

  #tick() {
    this.#stop();
    this.now = Date.now();
    this.#plan(this.#asked);
  }

  /** Draws what is due. What isn't stays as it is, so that a look at the time costs nothing. */
  #wake() {
    if (Date.now() >= this.#due) this.#tick();
    else if (this.#asked.length === 0) this.#stop();
    else if (this.#due !== Infinity) this.#sleep();
  }

  #sleep() {
    clearTimeout(this.#timer);
    const rest = Math.min(this.#due - Date.now(), LONGEST_SLEEP);
    this.#timer = setTimeout(() => this.#wake(), rest);
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#due = Infinity;
  }

  #plan(asked: Iterable<() => number>) {
    if (document.hidden) return;
    let next = Infinity;
    for (const ask of asked) next = Math.min(next, ask());
    if (next === Infinity) return;
    const due = Date.now() + Math.max(next, 0) + TOGETHER;
    if (due >= this.#due) return;
    this.#due = due;
    this.#sleep();
  }
}

export const clock = new Clock();
