// A file's name as it may be shown. Names are untrusted: they come from disks, archives and other people.

// Controls, line breaks and what turns the direction of text around, so that `exe.pdf` can't be read where `fdp.exe` is.
const UNSAFE =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u001F\u007F-\u009F\u2028\u2029\u202A-\u202E\u2066-\u2069\uFFF9-\uFFFB]/g;
const RIGHT_TO_LEFT = /[\u0590-\u08FF\uFB1D-\uFDFF\uFE70-\uFEFC]/;

/** The name with a visible mark in place of each character that isn't safe to draw. */
export const safeName = (name: string) =>
  BLANK.test(name)
    ? "\u2423".repeat([...name].length)
    : name.replace(UNSAFE, "\uFFFD");

/** A name of nothing that can be seen is shown as marks for blanks. */
const BLANK = /^[\s\u00AD\u200B-\u200F\u2060\u3164\uFEFF]+$/;

/** The longest name that is shown in one piece, and the letters before the extension that never go. */
const WHOLE = 16;
const LETTERS = 5;

// A letter may be many characters: an accent apart, a family of people. Looking for them takes longer than all else that a
// row does, so it is left out where each character is a letter.
const PLAIN = /^[\u0020-\u007E]*$/;
const segmenter = new Intl.Segmenter();

/** A name in two: the head may shrink, the tail (last letters and extension) never does. */
export function splitName(name: string): {
  head: string;
  tail: string;
  rtl: boolean;
} {
  const safe = safeName(name);
  const rtl = RIGHT_TO_LEFT.test(safe);
  const dot = safe.lastIndexOf(".");
  const hasExtension = dot > 0 && safe.length - dot <= 11;
  const stem = hasExtension ? safe.slice(0, dot) : safe;
  const extension = hasExtension ? safe.slice(dot) : "";
  if (rtl) return { head: stem, tail: extension, rtl };
  if (safe.length <= WHOLE) return { head: safe, tail: "", rtl };
  const letters = PLAIN.test(stem)
    ? [...stem]
    : [...segmenter.segment(stem)].map(({ segment }) => segment);
  if (letters.length + extension.length <= WHOLE)
    return { head: safe, tail: "", rtl };
  return {
    head: letters.slice(0, -LETTERS).join(""),
    tail: letters.slice(-LETTERS).join("") + extension,
    rtl,
  };
}
