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

/** The first steps of a new one. */
const BEGINS: RotationStep["is"][] = ["made", "stored", "off"];

type Asked = Extract<RotationStep, { is: "asked" }>;

/** What a rotation is about. */
type About = {
  profile: string;
  /** How many links. */
  links: number;
  byHand: boolean;
  role: string | null;
};

class Rotation {
  running = $state(false);
  about = $state.raw<About>();
  /** Steps that are done, in their order. */
  steps = $state.raw<RotationStep[]>([]);
  done = $state.raw<AllRevoked>();
  failure = $state.raw<Failure>();
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
    if (change.is !== "rotated") return;
    if (change.step.is === "left")
      toasts.inform(
        t("revoke_all.left", { keys: change.step.access_keys.join(", ") }),
      );
    if (!this.running) return;
    // One of an earlier start may be finished first.
    const anew = this.has("asked") && BEGINS.includes(change.step.is);
    this.steps = [...(anew ? [] : this.steps), change.step];
  }

  async run(
    about: About,
    keep: string[],
    stopOthers: boolean,
    newKey: NewKey | null,
  ) {
    if (this.running) return;
    this.running = true;
    this.steps = [];
    this.done = this.failure = undefined;
    this.about = about;
    this.began = Date.now();
    try {
      this.done = await ipc.revokeAll(
        about.profile,
        keep,
        stopOthers,
        newKey,
        stopOthers ? about.role : null,
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
