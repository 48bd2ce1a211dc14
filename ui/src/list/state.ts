// What is true of a share at a moment, and how a row says it.
import type { Profile, Progress, Share } from "../bindings";
import {
  isToday,
  left,
  leftChangesIn,
  MINUTE,
  moment,
  percent,
  rate,
  size,
  time,
  uploadLeft,
} from "../format";
import type { IconName } from "../parts/icons";
import { t } from "../words";

/** Milliseconds until the link ends, by the storage's clock. */
export const remaining = (share: Share, now: number) =>
  share.ends_at === null ? Infinity : share.ends_at - (now + share.clock_ahead);

const lives = ({ state }: Share) =>
  state.is === "active" ||
  state.is === "cut_short" ||
  state.is === "unreachable";

/** The state now: a time that is over isn't waited for. */
export const stateNow = (share: Share, now: number) =>
  lives(share) && remaining(share, now) <= 0 ? "expired" : share.state.is;

/** A link under this is about to end. */
const SOON = 15 * MINUTE;

export type Group = "busy" | "failed" | "live" | "ended";
export function groupOf(share: Share, now: number): Group {
  switch (stateNow(share, now)) {
    case "uploading":
    case "paused":
      return "busy";
    case "failed":
      return "failed";
    case "expired":
    case "revoked":
      return "ended";
    default:
      return "live";
  }
}

export type Action = "copy" | "check" | "retry" | "again";
export type Look = {
  words: string;
  /** The words behind it, after a dot or at the end of the line. */
  note?: string;
  /** What the note is short for. */
  whole?: string;
  /** Behind the words where no column says it. */
  more?: string;
  tone?: "warn" | "danger" | "busy";
  icon?: IconName;
  /** Percent of life that is left: a ring in place of an icon. */
  ring?: number;
  action?: Action;
};

export function look(
  share: Share,
  progress: Progress | undefined,
  now: number,
): Look {
  const { state } = share;
  switch (stateNow(share, now)) {
    case "uploading":
      return uploading(share, progress);
    case "paused": {
      const at = part(share, progress);
      return {
        words:
          at === undefined
            ? t("list.paused")
            : t("list.paused_at", { percent: percent(at) }),
        more: t("list.of", { size: size(progress?.total ?? share.size) }),
        ...troubled(share),
        icon: "pause",
      };
    }
    case "failed":
      return {
        words: t("list.failed"),
        ...(state.is === "failed" && {
          note: shortPaths(state.reason),
          whole: state.reason,
        }),
        tone: "danger",
        icon: "alert",
        ...(share.has_file && { action: "retry" }),
      };
    case "expired":
      return {
        words: t("list.expired", {
          when: moment(share.ends_at ?? now, now),
        }),
        icon: "lapsed",
        ...(share.has_file && { action: "again" }),
      };
    case "revoked":
      return {
        words: t("list.revoked", {
          when: moment(state.is === "revoked" ? state.at : now, now),
        }),
        icon: "ban",
        ...(share.has_file && { action: "again" }),
      };
    case "unreachable":
      return {
        words: t("list.unreachable"),
        ...unreachable(share, now),
        tone: "warn",
        icon: "cloud-off",
        action: "check",
      };
    case "cut_short": {
      const ends = share.ends_at ?? now;
      return {
        words: isToday(ends, now)
          ? t("list.stops_at", { time: time(ends) })
          : t("list.stops", { when: moment(ends, now) }),
        note:
          state.is === "cut_short" && state.why === "provider_cap"
            ? t("list.provider_cap")
            : t("list.sign_in_ends"),
        tone: "warn",
        icon: "cut",
        action: "copy",
      };
    }
    case "active": {
      const lost = share.reach === "nowhere";
      return {
        words: left(remaining(share, now)),
        ring: lifeLeft(share, now),
        ...((lost || remaining(share, now) < SOON) && { tone: "warn" }),
        ...(lost && {
          note: t("list.reach_short.nowhere"),
          whole: t("list.reach.nowhere"),
        }),
        // A link that nobody can open isn't offered.
        action: lost ? "check" : "copy",
      };
    }
  }
}

/** A sentence whose files are named without their folders, which would fill the row. */
const shortPaths = (text: string) =>
  text.replace(/«[^«»]*[/\\]([^«»/\\]+)»/g, "«$1»");

function uploading(share: Share, progress: Progress | undefined): Look {
  const busy = { tone: "busy", icon: "upload" } as const;
  if (share.trouble !== null)
    return {
      words: t("list.waits"),
      ...troubled(share),
      tone: "warn",
      icon: "cloud-off",
    };
  if (!progress) return { words: t("list.uploading"), ...busy };
  // A folder's archive has no size until it is packed.
  if (progress.total === null)
    return { words: t("list.packing", { size: size(progress.sent) }), ...busy };
  const seconds = (progress.total - progress.sent) / progress.rate;
  return {
    words: t("list.uploading_at", {
      percent: percent(part(share, progress) ?? 0),
    }),
    more: t("list.of", { size: size(progress.total) }),
    ...(progress.rate > 0 && {
      note: t("list.rate_left", {
        rate: rate(progress.rate),
        left: uploadLeft(seconds),
      }),
    }),
    ...busy,
  };
}

/** Why an upload doesn't go on. */
const troubled = ({ trouble }: Share): Pick<Look, "note" | "whole"> =>
  trouble === null ? {} : { note: shortPaths(trouble), whole: trouble };

/** How much of an upload is done, from 0 to 1; undefined while that isn't known. */
export function part(
  share: Share,
  progress: Progress | undefined,
): number | undefined {
  // What an earlier start sent is known by the parts that arrived.
  if (!progress && share.arrived > 0) return share.arrived / share.size;
  if (!progress || progress.total === null) return undefined;
  return progress.total === 0 ? 1 : progress.sent / progress.total;
}

function unreachable(share: Share, now: number): Pick<Look, "note" | "whole"> {
  const why = share.state.is === "unreachable" ? share.state.why : "";
  switch (why) {
    case "object_gone":
    case "key_off":
    case "refused":
    case "no_address":
      return { note: t(`list.why.${why}`), whole: t(`detail.why.${why}`) };
    case "no_answer":
      return {
        note: t("list.why.no_answer"),
        whole: t("list.no_answer_at", { time: time(share.checked_at ?? now) }),
      };
    default:
      return {
        note: t("list.why.not_known"),
        whole: t("detail.why.not_known"),
      };
  }
}

/** Percent of the link's life that is left. */
export function lifeLeft(share: Share, now: number): number {
  if (share.ends_at === null || share.signed_at === null) return 100;
  const life = share.ends_at - share.signed_at;
  const part = life > 0 ? remaining(share, now) / life : 0;
  return Math.round(Math.min(Math.max(part, 0), 1) * 100);
}

/** In how many milliseconds the row says something else by itself; days change apart. */
export function rowChangesIn(share: Share, now: number, exact = false) {
  if (!lives(share)) return Infinity;
  const rest = remaining(share, now);
  if (rest <= 0 || rest === Infinity) return Infinity;
  return share.state.is === "active" || exact
    ? leftChangesIn(rest, exact)
    : rest;
}

/** In how many milliseconds the next of these shares ends. */
export function nextEndIn(shares: readonly Share[], now: number): number {
  let next = Infinity;
  for (const share of shares) {
    const rest = lives(share) ? remaining(share, now) : Infinity;
    if (rest > 0 && rest < next) next = rest;
  }
  return next;
}

export type Status =
  "connected" | "locked" | "unreachable" | "offline" | "failing";

/** What was seen lately says how the storage is; older than this it says nothing. */
const LATELY = 10 * MINUTE;

/** What is known of a storage; undefined: nothing is, or it is this computer. */
export function statusOf(
  profile: Profile,
  shares: readonly Share[],
  keychain: string | undefined,
  online: boolean,
  now: number,
): Status | undefined {
  if (profile.local) return undefined;
  if (profile.access_key && keychain && keychain !== "open") return "locked";
  if (!online) return "offline";
  let seen = profile.checked_at ?? 0;
  let status: Status | undefined = profile.failing ? "failing" : "connected";
  for (const share of shares) {
    if (share.profile !== profile.name) continue;
    // An upload that failed since makes what was seen before it doubtful.
    if (share.state.is === "failed" && share.created_at > seen) {
      seen = share.created_at;
      status = undefined;
    }
    if ((share.checked_at ?? 0) <= seen) continue;
    seen = share.checked_at ?? 0;
    status =
      share.state.is === "unreachable" && share.state.why === "no_answer"
        ? "unreachable"
        : "connected";
  }
  return now - seen < LATELY ? status : undefined;
}
