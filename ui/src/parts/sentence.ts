/** A clause with its full stop. */
export const sentence = (text: string): string =>
  !text || /[.!?…]$/.test(text) ? text : `${text}.`;
