const MEBIBYTE = 1024 * 1024;

/** The limits that are offered without asking further, in bytes a second. */
export const SPEEDS = [1, 5, 20].map((mebibytes) => mebibytes * MEBIBYTE);

/** A limit from mebibytes a second; undefined: not one. */
export function limitOf(mebibytes: number | null): number | undefined {
  return mebibytes !== null && mebibytes >= 0.1 && mebibytes <= 10_000
    ? Math.round(mebibytes * MEBIBYTE)
    : undefined;
}

/** The same back, to one digit after the point. */
export const mebibytesOf = (limit: number) =>
  Math.round((limit / MEBIBYTE) * 10) / 10;
