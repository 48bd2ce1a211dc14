import type { VirtualizerHandle } from "virtua/svelte";

// How the list was left, so that coming back to it finds it so.
class View {
  query = $state("");
  searching = $state(false);
  /** The row that the keyboard is at. */
  at = $state<string | null>(null);
  /** Pixels that are scrolled away. */
  scrolled = 0;
  /** The sizes of so many items. */
  sizes:
    | { count: number; snapshot: ReturnType<VirtualizerHandle["getCache"]> }
    | undefined;
  /** Whether another screen was shown since. */
  left = false;
}

export const view = new View();
