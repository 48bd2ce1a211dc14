import { tick } from "svelte";

const CONTROL = ":is(button, select, input, textarea, a[href]):enabled";

/**
 * Gives the keyboard a place when what it was on is gone: it would begin anew at the window's top. The first of `wanted`
 * that is there gets it, then the screen's title, then its first control. What has the focus keeps it.
 */
export async function keepFocus(...wanted: (Element | string | null)[]) {
  await tick();
  if (document.activeElement && document.activeElement !== document.body)
    return;
  const places = [
    ...wanted,
    ".window h1[tabindex]",
    `.window .body ${CONTROL}`,
    `.window ${CONTROL}`,
  ].map((one) => (typeof one === "string" ? document.querySelector(one) : one));
  const next = places.find((one) => one?.isConnected);
  if (next instanceof HTMLElement) next.focus({ preventScroll: true });
}
