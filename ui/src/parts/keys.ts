/** What a key of a shortcut means: what is on it, or, where that isn't Latin, what is in that place on a Latin keyboard. */
export function pressed({ key, code }: { key: string; code: string }): string {
  // A named key, such as Escape.
  if ([...key].length !== 1) return key;
  if (key < "\x80" || /\p{Script=Latin}/u.test(key)) return key.toLowerCase();
  return code.replace(/^(Key|Digit)(.)$/, "$2").toLowerCase();
}
