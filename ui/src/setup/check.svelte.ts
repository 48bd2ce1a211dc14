import type { Failure, Finding } from "../bindings";
import { failureOf } from "../failure";
import * as ipc from "../ipc";
import { telling } from "./findings";

/** A storage check: what it found so far, and whether it goes on. */
export class Check {
  findings = $state.raw<Finding[]>([]);
  running = $state(false);
  /** Why it couldn't be made. */
  failure = $state.raw<Failure>();

  /** A check can't be stopped: while the one before goes on, what it says isn't listened to. */
  #runs = 0;

  async run(name: string) {
    const run = ++this.#runs;
    const counts = () => run === this.#runs && this.running;
    this.findings = [];
    this.failure = undefined;
    this.running = true;
    try {
      const found = await ipc.checkProfile(name, (finding) => {
        if (counts()) this.findings = telling([...this.findings, finding]);
      });
      if (counts()) this.findings = telling(found);
    } catch (error) {
      if (counts()) this.failure = failureOf(error);
    } finally {
      if (counts()) this.running = false;
    }
  }
}
