import { describe, expect, test } from "vitest";
import type { Profile, Share, State } from "../bindings";
import { DAY, HOUR, MINUTE } from "../format";
import { found, itemsOf, keyOf } from "./items";
import {
  groupOf,
  lifeLeft,
  look,
  nextEndIn,
  part,
  rowChangesIn,
  stateNow,
  statusOf,
} from "./state";

const NOW = new Date(2026, 2, 10, 14, 0).getTime();

const share = (more: Partial<Share> = {}): Share => ({
  id: "a",
  name: "report.pdf",
  size: 100,
  profile: "Studio",
  state: { is: "active" },
  reach: "anywhere",
  created_at: NOW - HOUR,
  signed_at: NOW - HOUR,
  ends_at: NOW + 3 * HOUR,
  checked_at: NOW,
  clock_ahead: 0,
  has_file: true,
  revocable: true,
  other_links: 0,
  label: null,
  folder: null,
  arrived: 0,
  trouble: null,
  ...more,
});

describe("a row has room for a word, its title for more", () => {
  test.each([
    [
      { state: { is: "unreachable", why: "no_answer" } },
      /^no answer$/,
      /^no answer at .*00/,
    ],
    [{ state: { is: "unreachable", why: "key_off" } }, /key/, /signed/],
    [{ state: { is: "unreachable", why: "?" } }, /known/, /storage said/],
    [{ reach: "nowhere" }, /opens nowhere/, /Extend/],
  ] as [Partial<Share>, RegExp, RegExp][])("%j", (more, note, whole) => {
    const said = look(share(more), undefined, NOW);
    expect(said.note).toMatch(note);
    expect(said.note!.length).toBeLessThanOrEqual(16);
    expect(said.whole).toMatch(whole);
    expect(said).toMatchObject({ tone: "warn", action: "check" });
  });
});

describe("a link whose time is over", () => {
  const states: State[] = [
    { is: "active" },
    { is: "cut_short", why: "sign_in_ends" },
    { is: "unreachable", why: "no_answer" },
  ];
  test.each(states)("is shown as expired at once: $is", (state) => {
    const one = share({ state });
    expect(stateNow(one, NOW + 3 * HOUR - 1)).toBe(state.is);
    expect(stateNow(one, NOW + 3 * HOUR)).toBe("expired");
    expect(groupOf(one, NOW + 3 * HOUR)).toBe("ended");
  });

  test("ends by the storage's clock", () => {
    const ahead = share({ clock_ahead: 10 * MINUTE });
    expect(stateNow(ahead, NOW + 3 * HOUR - 10 * MINUTE)).toBe("expired");
    const behind = share({ clock_ahead: -10 * MINUTE });
    expect(stateNow(behind, NOW + 3 * HOUR)).toBe("active");
  });

  test("stays revoked when it was", () => {
    const one = share({ state: { is: "revoked", at: NOW } });
    expect(stateNow(one, NOW + DAY)).toBe("revoked");
  });
});

test("the last quarter of an hour is amber", () => {
  const one = share({ ends_at: NOW + 15 * MINUTE });
  expect(look(one, undefined, NOW).tone).toBeUndefined();
  expect(look(one, undefined, NOW + 1)).toMatchObject({ tone: "warn" });
});

test("the ring shows the part of life that is left", () => {
  expect(lifeLeft(share(), NOW)).toBe(75);
  expect(lifeLeft(share(), NOW + DAY)).toBe(0);
  expect(lifeLeft(share({ ends_at: null }), NOW)).toBe(100);
});

test("a link that is cut short says when and why", () => {
  const one = share({ state: { is: "cut_short", why: "sign_in_ends" } });
  const said = look(one, undefined, NOW);
  expect(said.words).toMatch(/^Stops at 0?5:00|17:00/);
  expect(said.note).toBe("sign-in ends");
});

test("an upload says how far it is, and a folder that it is packed", () => {
  const one = share({ state: { is: "uploading" }, ends_at: null });
  expect(look(one, undefined, NOW).words).toBe("Uploading");
  const at = (total: number | null, rate: number) =>
    look(one, { id: "a", sent: 420, total, rate }, NOW);
  expect(at(1000, 0)).toMatchObject({ words: "Uploading 42%" });
  expect(at(1000, 0).note).toBeUndefined();
  expect(at(1000, 10).note).toContain("1\u00A0min left");
  expect(at(null, 10).words).toBe("Packing 420\u00A0bytes");
});

test("an upload that waits says why, and keeps what arrived", () => {
  const trouble = "files.test can't be reached";
  const waits = share({ state: { is: "uploading" }, arrived: 25, trouble });
  const progress = { id: "a", sent: 50, total: 100, rate: 10 };
  expect(look(waits, progress, NOW)).toMatchObject({
    words: "Waiting",
    note: trouble,
    whole: trouble,
    tone: "warn",
  });
  const paused = share({ ...waits, state: { is: "paused" } });
  expect(look(paused, undefined, NOW)).toMatchObject({
    words: "Paused at 25%",
    note: trouble,
  });
  expect(part(paused, undefined)).toBe(0.25);
  expect(part(share(), undefined)).toBeUndefined();
});

test("what can't be shared again offers nothing", () => {
  const state = { is: "expired" } as const;
  expect(look(share({ state }), undefined, NOW).action).toBe("again");
  expect(
    look(share({ state, has_file: false }), undefined, NOW).action,
  ).toBeUndefined();
});

test("rows change by themselves only while their links live", () => {
  expect(rowChangesIn(share(), NOW)).toBeLessThanOrEqual(HOUR);
  const cut = share({ state: { is: "cut_short", why: "provider_cap" } });
  expect(rowChangesIn(cut, NOW)).toBe(3 * HOUR);
  expect(rowChangesIn(share({ state: { is: "expired" } }), NOW)).toBe(Infinity);
  expect(
    nextEndIn(
      [share(), share({ ends_at: NOW + MINUTE }), share({ ends_at: NOW - 1 })],
      NOW,
    ),
  ).toBe(MINUTE);
  expect(nextEndIn([], NOW)).toBe(Infinity);
});

test("the list has work first, then what failed, what lives, and what ended", () => {
  const of = (id: string, state: State, ends_at = NOW + HOUR) =>
    share({ id, state, ends_at });
  const items = itemsOf(
    [
      of("ended", { is: "active" }, NOW - 1),
      of("lives", { is: "active" }),
      of("failed", { is: "failed", reason: "" }),
      of("busy", { is: "uploading" }),
    ],
    true,
    NOW,
  );
  expect(items.map(keyOf)).toEqual([
    "busy",
    ":waiting",
    "failed",
    "lives",
    ":ended",
    "ended",
  ]);
});

test("search finds all words, whatever their case and form", () => {
  const names = ["Été 2026.pdf", "ete.txt", "Lease annex.docx"];
  const shares = names.map((name, at) => share({ id: `${at}`, name }));
  const hits = (query: string) => found(shares, query).map(({ name }) => name);
  expect(hits("annex LEASE")).toEqual(["Lease annex.docx"]);
  expect(hits("e\u0301te\u0301")).toEqual(["Été 2026.pdf"]);
  expect(hits("  ")).toHaveLength(3);
  expect(hits("nothing")).toEqual([]);
});

describe("a storage's status", () => {
  const profile: Profile = {
    name: "Studio",
    provider: "AWS S3",
    bucket: "b",
    current: true,
    local: false,
    reach: "anywhere",
    live_links: 0,
    checked_at: NOW - MINUTE,
    failing: false,
    access_key: "AKIA",
    signer: null,
    signer_by: null,
    rotation: "here",
  };
  const status = (
    more: Partial<Profile>,
    shares: Share[] = [],
    keychain = "open",
    online = true,
  ) => statusOf({ ...profile, ...more }, shares, keychain, online, NOW);

  test("is what was seen last, and nothing when that is long ago", () => {
    expect(status({})).toBe("connected");
    expect(status({ failing: true })).toBe("failing");
    expect(status({ checked_at: NOW - HOUR })).toBeUndefined();
    expect(status({ checked_at: null })).toBeUndefined();
    const lost = share({ state: { is: "unreachable", why: "no_answer" } });
    expect(status({}, [lost])).toBe("unreachable");
    const gone = share({ state: { is: "unreachable", why: "object_gone" } });
    expect(status({}, [gone])).toBe("connected");
    expect(status({}, [{ ...lost, profile: "Other" }])).toBe("connected");
  });

  test("is not known after an upload that failed, until something is seen", () => {
    const failed = share({
      state: { is: "failed", reason: "no answer" },
      created_at: NOW - 30_000,
      checked_at: null,
    });
    expect(status({}, [failed])).toBeUndefined();
    const before = { ...failed, created_at: NOW - 2 * MINUTE };
    expect(status({}, [before])).toBe("connected");
    const seen = share({ checked_at: NOW - 10_000 });
    expect(status({}, [seen, failed])).toBe("connected");
  });

  test("is locked while its keys are, and offline without a network", () => {
    expect(status({}, [], "locked")).toBe("locked");
    expect(status({ access_key: null }, [], "locked")).toBe("connected");
    expect(status({}, [], "open", false)).toBe("offline");
    expect(status({ local: true })).toBeUndefined();
  });
});
