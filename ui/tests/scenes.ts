// The scenes of the fake: what the shell would say in each. Times are relative to now, so that countdowns run.
import type {
  AllLinks,
  Change,
  Draft,
  Finding,
  Folder,
  Keychain,
  Link,
  Profile,
  Progress,
  Provider,
  Share,
  Start,
  State,
  Store,
} from "../src/bindings";
import { qrPath, qrSide } from "./qr";

export type Scene = {
  start: Start;
  /** Milliseconds until `start` answers. */
  startsAfter: number;
  /** Milliseconds until `shares` answers. */
  restAfter: number;
  link: Link;
  keychain: Keychain;
  store: Store;
  folders: Folder[];
  providers: Provider[];
  awsProfiles: string[];
  draft: Draft;
  findings: Finding[];
  /** Milliseconds between two lines of a check. */
  findingEvery: number;
  /** Milliseconds until a link is told, copied or checked, or a file is shared again. */
  slow: number;
  /** Shares of an unfinished drop that have links when it is taken back. */
  calledOff: string[];
  /** How many files a paste gives. */
  pasted: number;
  /** Links whose refusal couldn't be seen in a revoke. */
  notKnown: number;
  /** What a check tells besides. */
  noticed: string[];
  /** Whether the bucket keeps old versions of what is revoked. */
  keepsVersions: boolean;
  /** What is told of the key that signs. */
  allLinks: Omit<AllLinks, "access_key" | "shares">;
  /** Steps of a rotation that are told before it waits. */
  revokingTo: number;
  /** Told once the page has started. */
  changes: Change[];
  progress: Progress[];
};

const MIN = 60_000;
const HOUR = 60 * MIN;
const DAY = 24 * HOUR;
const KB = 1024;
const MB = 1024 * KB;
const GB = 1024 * MB;

export const revokedAt = () => Date.now();

let made = 0;
/** A share that lives `left` more milliseconds of `life`. */
export function share(
  name: string,
  size: number,
  left: number,
  life: number,
  more: Partial<Share> = {},
): Share {
  const now = Date.now();
  const uploading =
    more.state && ["uploading", "paused", "failed"].includes(more.state.is);
  return {
    id: `s${++made}`,
    name,
    size,
    profile: "Studio share",
    state: { is: "active" },
    reach: "anywhere",
    created_at: now - (life - left),
    signed_at: uploading ? null : now - (life - left),
    ends_at: uploading ? null : now + left,
    checked_at: uploading ? null : now - 2 * MIN,
    clock_ahead: 0,
    has_file: true,
    revocable: true,
    other_links: 0,
    label: null,
    folder: null,
    arrived: 0,
    trouble: null,
    ...more,
  };
}
const is = (state: State): Partial<Share> => ({ state });

const LEASE =
  "Hartmann-lease-agreement_signed_v3-final-corrected-by-legal-department-2026-03.pdf";
const ARABIC = "تقرير المبيعات النهائي.pdf";

const ended = () => [
  share(
    "team-photo_edited.heic",
    12 * MB,
    -20 * HOUR,
    DAY,
    is({ is: "expired" }),
  ),
  share("pricing-draft.xlsx", 96 * KB, -2 * DAY, 5 * DAY, {
    state: { is: "revoked", at: Date.now() - 2 * DAY },
  }),
];

const local = (more: Partial<Profile> = {}): Profile => ({
  name: "local",
  provider: "Local store",
  bucket: "lapse",
  current: true,
  local: true,
  reach: "computer",
  live_links: 0,
  checked_at: null,
  failing: false,
  access_key: null,
  signer: null,
  signer_by: null,
  rotation: "here",
  ...more,
});
const studio = (more: Partial<Profile> = {}): Profile => ({
  name: "Studio share",
  provider: "AWS S3",
  bucket: "studio-share",
  current: true,
  local: false,
  reach: "anywhere",
  live_links: 6,
  checked_at: Date.now() - 3 * MIN,
  failing: false,
  access_key: "AKIAEXAMPLE7",
  signer: null,
  signer_by: "key",
  rotation: "here",
  ...more,
});

// As core's table has them.
const providers: Provider[] = [
  {
    id: "aws",
    name: "Amazon S3",
    endpoint: "https://s3.{region}.amazonaws.com",
    region: null,
    path_style: false,
    post_form: true,
    rotation: "here",
  },
  {
    id: "r2",
    name: "Cloudflare R2",
    endpoint: null,
    region: "auto",
    path_style: true,
    post_form: false,
    rotation: "by_hand",
  },
  {
    id: "b2",
    name: "Backblaze B2",
    endpoint: "https://s3.{region}.backblazeb2.com",
    region: null,
    path_style: false,
    post_form: false,
    rotation: "by_hand",
  },
  {
    id: "wasabi",
    name: "Wasabi",
    endpoint: "https://s3.{region}.wasabisys.com",
    region: null,
    path_style: false,
    post_form: true,
    rotation: "here",
  },
  {
    id: "digitalocean",
    name: "DigitalOcean Spaces",
    endpoint: "https://{region}.digitaloceanspaces.com",
    region: null,
    path_style: false,
    post_form: true,
    rotation: "by_hand",
  },
  {
    id: "hetzner",
    name: "Hetzner Object Storage",
    endpoint: "https://{region}.your-objectstorage.com",
    region: null,
    path_style: false,
    post_form: true,
    rotation: "by_hand",
  },
  {
    id: "scaleway",
    name: "Scaleway Object Storage",
    endpoint: "https://s3.{region}.scw.cloud",
    region: null,
    path_style: false,
    post_form: true,
    rotation: "by_hand",
  },
  {
    id: "garage",
    name: "Garage",
    endpoint: null,
    region: "garage",
    path_style: true,
    post_form: true,
    rotation: "here",
  },
  {
    id: "ceph",
    name: "Ceph",
    endpoint: null,
    region: "us-east-1",
    path_style: true,
    post_form: true,
    rotation: "here",
  },
  {
    id: "seaweedfs",
    name: "SeaweedFS",
    endpoint: null,
    region: "us-east-1",
    path_style: true,
    post_form: true,
    rotation: "here",
  },
  {
    id: "minio",
    name: "MinIO",
    endpoint: null,
    region: "us-east-1",
    path_style: true,
    post_form: true,
    rotation: "by_hand",
  },
  {
    id: "other",
    name: "Other S3 storage",
    endpoint: null,
    region: null,
    path_style: true,
    post_form: true,
    rotation: "by_hand",
  },
];

const findings: Finding[] = [
  { name: "write", verdict: "pass", text: "Files can be written." },
  {
    name: "read",
    verdict: "pass",
    text: "What was written is read back, byte for byte.",
  },
  {
    name: "clock",
    verdict: "pass",
    text: "This computer's clock agrees with the storage's.",
  },
  { name: "link_works", verdict: "pass", text: "A link opens the file." },
  {
    name: "link_ends",
    verdict: "pass",
    text: "A link of one second is refused after its time.",
  },
  {
    name: "tampered_link",
    verdict: "pass",
    text: "A link whose end was changed is refused.",
  },
  {
    name: "other_object",
    verdict: "pass",
    text: "A link to one file doesn't open another.",
  },
  {
    name: "private",
    verdict: "pass",
    text: "Without a link nobody reads the bucket.",
  },
  {
    name: "conditional_put",
    verdict: "pass",
    text: "An object is never overwritten by accident (If-None-Match holds).",
  },
  {
    name: "multipart",
    verdict: "pass",
    text: "A file in two parts arrives whole.",
  },
  {
    name: "post_form",
    verdict: "warn",
    text: "Upload forms aren't offered here; requests will use other links.",
  },
  {
    name: "lifecycle",
    verdict: "pass",
    text: "The bucket has no clean-up rules of its own.",
  },
  {
    name: "rotation",
    verdict: "warn",
    text: "Keys are rotated by hand, at the provider's site.",
  },
  {
    name: "clean_up",
    verdict: "pass",
    text: "What was written for this check is deleted again.",
  },
];

const url =
  "https://studio-share.s3.eu-central-1.amazonaws.com/lapse/4k7qzj2mxw5hd3ynfvb6tcar2e/Hartmann-lease-agreement.pdf?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAEXAMPLE7%2F20260310%2Feu-central-1%2Fs3%2Faws4_request&X-Amz-Date=20260310T201400Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&response-content-disposition=attachment&X-Amz-Signature=0f3a";

const folders = (): Folder[] => [
  {
    id: 1,
    path: "~/Pictures/Screenshots",
    state: "watching",
    trouble: null,
    shared: 412,
    waiting: 0,
    failed: [],
    last_at: Date.now() - 3 * MIN,
    expires: "7d",
    copy: true,
    ignore: ["*.tmp", "*.part"],
    recursive: false,
  },
  {
    id: 2,
    path: "~/Projects/Hartmann/Renders/2026/Exports",
    state: "watching",
    trouble: null,
    shared: 120,
    waiting: 3280,
    failed: [{ name: "scene 12.exr", why: "can't read «scene 12.exr»" }],
    last_at: Date.now(),
    expires: null,
    copy: false,
    ignore: [],
    recursive: true,
  },
  {
    id: 3,
    path: "/media/ada/CARD-2/DCIM",
    state: "away",
    trouble: "The folder isn't there now. It is watched again when it is back.",
    shared: 64,
    waiting: 0,
    failed: [],
    last_at: Date.now() - 2 * DAY,
    expires: null,
    copy: false,
    ignore: [],
    recursive: true,
  },
];

const base = (shares: Share[], profiles: Profile[]): Scene => ({
  start: {
    version: "0.1.0",
    platform: "linux",
    preferences: {
      expires: "1d",
      copy_links: true,
      notifications: true,
      close_to_tray: true,
      start_at_login: false,
      theme: "light",
      language: "en-GB",
      upload_limit: null,
      zoom: 1,
    },
    profiles,
    shares,
    more: false,
    problem: null,
    data_folder: "~/.local/share/lapse",
    data_size: 1.4 * MB,
  },
  startsAfter: 0,
  restAfter: 0,
  link: {
    url,
    qr_side: qrSide,
    qr_path: qrPath,
    object: "studio-share/lapse/4k7qzj2mxw5hd3ynfvb6tcar2e/lease.pdf",
    etag: "9f2c71d0a4e7b83c5d16f0a92e4477bb",
    kept_until: Date.now() + 8 * DAY,
  },
  keychain: {
    kind: "system",
    state: "open",
    profiles: 1,
    failure: null,
    has_passphrase_file: false,
  },
  store: {
    running: true,
    lan_interface: null,
    lan: null,
    lan_ended: false,
    interfaces: [{ name: "wlan0", address: "192.168.1.20" }],
    live_links: 0,
    bytes: 0,
  },
  folders: shares.length ? folders() : [],
  providers,
  awsProfiles: ["default", "studio"],
  draft: {
    name: "Studio share",
    provider: "aws",
    endpoint: null,
    region: "eu-central-1",
    bucket: "studio-share",
    prefix: "lapse",
    path_style: null,
    sign_in: { by: "access_key", id: "AKIAEXAMPLE7" },
    clean_up: "7d",
  },
  findings,
  findingEvery: 50,
  slow: 0,
  calledOff: [],
  pasted: 1,
  notKnown: 0,
  keepsVersions: false,
  noticed: [],
  allLinks: {
    others: 0,
    is_own: true,
    last_used: null,
    last_service: null,
    by_hand: false,
    role: null,
  },
  revokingTo: 9,
  changes: [],
  progress: [],
});

const both = () => [local({ current: false }), studio()];
const live = () => [
  share(LEASE, 2.4 * MB, 6.2 * HOUR, DAY),
  share("invoice-0317.pdf", 184 * KB, 8.4 * MIN, HOUR),
  share("site-survey.dwg", 48 * MB, 2.3 * HOUR, 5 * HOUR, {
    state: { is: "cut_short", why: "sign_in_ends" },
  }),
  share(ARABIC, 912 * KB, 18.3 * HOUR, DAY),
  share("notes.txt", 0, 23.4 * HOUR, DAY),
  share("floor-plan.key", 31 * MB, 2 * DAY, 4 * DAY, {
    state: { is: "unreachable", why: "no_answer" },
    checked_at: Date.now() - 20 * MIN,
  }),
];

const keychain = (code: string, message: string) => {
  const now = base(live(), both());
  now.keychain = {
    kind: "system",
    state: code.split("_")[1] ?? "failed",
    profiles: 1,
    failure: { code, message, hint: "Start it, then try again" },
    has_passphrase_file: false,
  };
  return now;
};

/** Every scene by its name; a test draws each in light and dark. */
export const scenes = {
  /** The first start: nothing was shared yet, and links work on this computer only. */
  empty: () => base([], [local()]),
  /** Nothing was shared yet; links work in the local network. */
  "empty-network": () => base([], [local({ reach: "network" })]),
  "empty-bucket": () => base([], both()),
  main: () => {
    const uploading = share("coast-walk_final-cut.mov", 1.8 * GB, 0, 0, {
      state: { is: "uploading" },
    });
    const paused = share("raw-photos-lisbon.zip", 3.2 * GB, 0, 2 * HOUR, {
      state: { is: "paused" },
    });
    const failed = share("backup-2026-03-01.tar.gz", 734 * MB, 0, HOUR, {
      state: { is: "failed", reason: "the bucket is full" },
    });
    const now = base(
      [uploading, paused, failed, ...live(), ...ended()],
      both(),
    );
    now.progress = [
      {
        id: uploading.id,
        sent: 0.42 * 1.8 * GB,
        total: 1.8 * GB,
        rate: 18 * MB,
      },
      { id: paused.id, sent: 0.61 * 3.2 * GB, total: 3.2 * GB, rate: 0 },
    ];
    return now;
  },
  /** A rotation that waits for its old links. */
  revoking: () => ({ ...base(live(), both()), revokingTo: 5 }),
  /** The key may be another program's, too. */
  "revoke-others": () => ({
    ...base(live(), both()),
    allLinks: {
      others: 2,
      is_own: false,
      last_used: Date.now() - 3 * HOUR,
      last_service: "s3",
      by_hand: false,
      role: null,
    },
  }),
  /** Only the person can switch keys. */
  "revoke-by-hand": () => ({
    ...base(live(), both()),
    allLinks: {
      others: 0,
      is_own: true,
      last_used: null,
      last_service: null,
      by_hand: true,
      role: null,
    },
  }),
  /** Links are signed by sessions of a role. */
  "revoke-role": () => ({
    ...base(live(), both()),
    allLinks: {
      others: 0,
      is_own: false,
      last_used: null,
      last_service: null,
      by_hand: false,
      role: "studio-uploads",
    },
  }),
  /** The bucket keeps old versions. */
  versions: () => ({ ...base(live(), both()), keepsVersions: true }),
  /** Live and ended shares, without any work under way. */
  quiet: () => base([...live(), ...ended()], both()),
  /** Just after a drop. */
  copied: () => {
    const fresh = share("Hartmann-floor-plan.pdf", 1.1 * MB, DAY, DAY);
    const now = base([fresh, ...live()], both());
    now.changes = [
      {
        is: "shared",
        ids: [fresh.id],
        copied: true,
        notices: [],
        hidden: false,
      },
    ];
    return now;
  },
  /** Many dropped at once: some wait, some weren't shared. */
  uploading: () => {
    const some = Array.from({ length: 4 }, (_, at) =>
      share(`IMG_20${at + 14}.jpg`, (3 + at) * MB, 0, 0, {
        state: { is: "uploading" },
      }),
    );
    const now = base([...some, ...live()], both());
    now.progress = some.map((one, at) => ({
      id: one.id,
      sent: one.size * (0.8 - at * 0.2),
      total: at === 3 ? null : one.size,
      rate: 1.2 * MB,
    }));
    now.changes = [{ is: "waiting", count: 23 }];
    return now;
  },
  "not-shared": () => {
    const now = base(live(), both());
    now.changes = [
      "diary.txt",
      "server.key",
      "removed.mov",
      "<img src=x onerror=alert(1)>.txt",
    ].map((name, at) => ({
      is: "not_shared",
      name,
      hidden: false,
      failure:
        at === 2
          ? {
              code: "source_gone",
              message: `“${name}” isn't there any more`,
              hint: "Choose it again where it is now.",
            }
          : {
              code: "source_unreadable",
              message: `“${name}” can't be read: permission denied`,
              hint: "Change its permissions, then drop it again.",
            },
    }));
    return now;
  },
  offline: () => {
    const away = live().map((one) => ({
      ...one,
      state: { is: "unreachable" as const, why: "no_answer" },
    }));
    return base(away, [
      local({ current: false }),
      studio({ checked_at: Date.now() - 4 * MIN, failing: true }),
    ]);
  },
  /** Each reason why a link doesn't open, or stops before its time. */
  reasons: () =>
    base(
      [
        ...[
          "object_gone",
          "key_off",
          "refused",
          "no_address",
          "no_answer",
          "",
        ].map((why) =>
          share(`${why || "unknown"}.pdf`, 2 * MB, 6 * HOUR, DAY, {
            state: { is: "unreachable", why },
          }),
        ),
        share("provider_cap.pdf", 2 * MB, 6 * DAY, 7 * DAY, {
          state: { is: "cut_short", why: "provider_cap" },
        }),
      ],
      both(),
    ),
  locked: () => {
    const now = base(live(), both());
    now.keychain = {
      kind: "system",
      state: "locked",
      profiles: 1,
      failure: {
        code: "keychain_locked",
        message: "The keychain is locked",
        hint: "Unlock it, then try again.",
      },
      has_passphrase_file: false,
    };
    return now;
  },
  /** Links of the local store: here, in the network, and at an address that it left. */
  local: () =>
    base(
      [
        share("report.pdf", 2 * MB, 20 * HOUR, DAY, {
          profile: "local",
          reach: "computer",
        }),
        share("slides.odp", 9 * MB, 3 * HOUR, DAY, {
          profile: "local",
          reach: "network",
          checked_at: null,
        }),
        share("minutes-of-the-meeting.pdf", 3 * MB, 22 * HOUR, DAY, {
          profile: "local",
          reach: "nowhere",
        }),
      ],
      [local(), studio({ current: false })],
    ),
  names: () =>
    base(
      [
        share(
          "<img src=x onerror=\"document.title='owned'\">.png",
          KB,
          HOUR * 2,
          DAY,
        ),
        share("invoice\u202Efdp.exe", KB, HOUR * 3, DAY),
        share(ARABIC, KB, HOUR * 4, DAY),
        share(`${"a".repeat(251)}.pdf`, KB, HOUR * 5, DAY),
        share(
          "ñandú — été 日本語のとても長いファイル名です、最後まで読めますか.tar.gz",
          KB,
          HOUR * 6,
          DAY,
        ),
        share(
          "no-extension-but-a-rather-long-name-for-a-file-in-a-narrow-window",
          KB,
          HOUR * 7,
          DAY,
        ),
        share(" leading  and trailing .txt", KB, HOUR * 8, DAY),
      ],
      both(),
    ),
  /** What no shell should tell, and a broken database or clock may. */
  rough: () => {
    const now = Date.now();
    return base(
      [
        share("👩‍🚀".repeat(255), 2 ** 53, 2 ** 53, DAY),
        share("   ", 0, HOUR, DAY, { clock_ahead: DAY }),
        share("one\nmore\u0000line\u202Efdp.exe", 1, HOUR, DAY, {
          clock_ahead: -DAY,
        }),
        share("no end", 1, HOUR, DAY, { ends_at: null, signed_at: null }),
        share("long ago.txt", 1, HOUR, DAY, {
          ends_at: -(2 ** 53),
          state: { is: "expired" },
        }),
        share("revoked never.txt", 1, HOUR, DAY, {
          state: { is: "revoked", at: NaN },
          created_at: 2 ** 53,
        }),
        share("nothing said.txt", 1, HOUR, DAY, {
          state: { is: "failed", reason: "" },
        }),
        share("another why.txt", 1, HOUR, DAY, {
          state: { is: "unreachable", why: "constructor" },
          checked_at: now + 400 * DAY,
        }),
      ],
      both(),
    );
  },
  many: () =>
    base(
      [
        ...Array.from({ length: 9_000 }, (_, at) =>
          share(
            `file-${String(at).padStart(5, "0")}.pdf`,
            (at % 900) * KB,
            (at % 168) * HOUR + 30 * MIN,
            7 * DAY,
          ),
        ),
        ...Array.from({ length: 1_000 }, (_, at) =>
          share(
            `old-${String(at).padStart(4, "0")}.jpg`,
            at * KB,
            -(at + 1) * HOUR,
            7 * DAY,
            is({ is: "expired" }),
          ),
        ),
      ],
      both(),
    ),
  problem: () => {
    const now = base([], []);
    now.start.problem = {
      code: "database_newer",
      message: "The list was written by a newer Lapse",
      hint: "Install the newest Lapse. Nothing was changed.",
    };
    return now;
  },
  loading: () => ({ ...base(live(), both()), startsAfter: 60_000 }),
  setup: () => base([], [local()]),
  "keychain-absent": () => keychain("keychain_absent", "no keychain runs here"),
  "keychain-failed": () => keychain("keychain", "the keychain gave no answer"),
  /** Locked, with a passphrase file from before. */
  "keychain-file": () => {
    const now = keychain("keychain_locked", "the keychain is locked");
    now.keychain.has_passphrase_file = true;
    return now;
  },
} satisfies Record<string, () => Scene>;

export function scene(name: string): Scene {
  const make = (scenes as Record<string, () => Scene>)[name];
  if (!make) throw new Error(`no such scene: ${name}`);
  made = 0;
  return make();
}
