// What was dropped, chosen or pasted and wasn't shared: it stays until the person has read it.
import { app } from "../app.svelte";
import { failureOf } from "../failure";
import type { Refusal } from "./reasons";

class Refusals {
  all = $state.raw<Refusal[]>([]);
  clear = () => (this.all = []);
}

export const refusals = new Refusals();
app.onChange((change) => {
  if (change.is === "not_shared") {
    const { name, failure } = change;
    refusals.all = [...refusals.all, { name, failure: failureOf(failure) }];
  }
  // What was shared after all is no refusal any more.
  if (change.is === "shared" && refusals.all.length) {
    const names = new Set(change.ids.map((id) => app.share(id)?.name));
    refusals.all = refusals.all.filter(({ name }) => !names.has(name));
  }
});
