// What went wrong, in the window's words: every error of the shell passes here before it is shown.
import type { Failure } from "./bindings";
import { isFailure } from "./ipc";
import { safeName } from "./parts/name";
import { sentence } from "./parts/sentence";
import en from "./words/en.json";
import { t } from "./words";

/** Core speaks to the command line too: this tells what only helps there. */
const COMMAND_LINE =
  /`|(^|[\s(])--[a-z]|\blapse [a-z-]+|\bLAPSE_[A-Z_]+|\bprofile «/;

const isKnown = (code: string): code is keyof typeof en.failure =>
  Object.hasOwn(en.failure, code);

/** What a command rejected with, or the shell told of, as it may be shown. */
export function failureOf(error: unknown): Failure {
  const { code, message, hint } = isFailure(error)
    ? error
    : { code: "internal", message: String(error), hint: "" };
  return {
    code,
    message: begun(safeName(message)) || t("app.failed"),
    hint: COMMAND_LINE.test(hint) ? hintOf(code) : safeName(hint),
  };
}

const hintOf = (code: string) => (isKnown(code) ? t(`failure.${code}`) : "");

/** The same as text that stands alone: what happened, and what to do. */
export function told(error: unknown): string {
  const { message, hint } = failureOf(error);
  return `${sentence(message)} ${sentence(hint)}`.trim();
}

/** What must be known before a link is used, without the sentences that name commands. */
export const noticesOf = (notices: readonly string[]): string =>
  notices
    .flatMap((notice) => safeName(notice).split(/(?<=[.!?]) /))
    .filter((part) => part && !COMMAND_LINE.test(part))
    .map((part) => sentence(begun(part)))
    .join(" ");

/** A clause with the letter that begins a line; the name of a host or a file stays as it is. */
function begun(clause: string): string {
  const [word = ""] = clause.split(" ", 1);
  if (/[./:]./.test(word)) return clause;
  const [first = ""] = clause;
  return first.toLocaleUpperCase() + clause.slice(first.length);
}
