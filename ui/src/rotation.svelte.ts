// A rotation of the key that signs, whatever is shown meanwhile.
import { app } from "./app.svelte";
import type {
  AllRevoked,
  Change,
  Failure,
  NewKey,
  RotationStep,
} from "./bindings";
import { failureOf } from "./failure";
import * as ipc from "./ipc";
import { toasts } from "./toasts.svelte";
import { t } from "./words";

type Asked = Extract<RotationStep, { is: "asked" }>;

class Rotation {
  running = $state(false);
  /** Steps that are done, in their order. */
  steps = $state.raw<RotationStep[]>([]);
  done = $state.raw<AllRevoked>();
  failure = $state.raw<Failure>();
  /** How many links it is about. */
  links = $state(0);
  began = 0;
  ended = $state(0);
  /** Whether the sheet shows it. */
  shown = false;

  get asked(): Asked | undefined {
    return this.steps.filter((step) => step.is === "asked").at(-1);
  }
  has(is: RotationStep["is"]) {
    return this.steps.some((step) => step.is === is);
  }

  hear(change: Change) {
    if (change.is !== "rotated" || !this.running) return;
    this.steps = [...this.steps, change.step];
  }

  async run(
    profile: string,
    links: number,
    keep: string[],
    stopOthers: boolean,
    newKey: NewKey | null,
    endSessionsOf: string | null,
  ) {
    if (this.running) return;
    this.running = true;
    this.steps = [];
    this.done = this.failure = undefined;
    this.links = links;
    this.began = Date.now();
    try {
      this.done = await ipc.revokeAll(
        profile,
        keep,
        stopOthers,
        newKey,
        endSessionsOf,
      );
      app.put(this.done.kept);
    } catch (error) {
      this.failure = failureOf(error);
    }
    this.ended = Date.now();
    this.running = false;
    if (!this.shown) this.#tell();
  }

  /** Whoever closed the sheet is told how it ended. */
  #tell() {
    if (this.done) {
      const { checked, refused } = this.done;
      toasts.inform(t("revoke_all.checked", { count: checked, refused }));
    } else if (this.failure) {
      toasts.inform(this.failure.message);
    }
  }
}

export const rotation = new Rotation();
app.onChange((change) => rotation.hear(change));
