// What Lapse says outside of its window.
import { calls, expect, open, test } from "./page";
import type { Change } from "../src/bindings";
import type { Page } from "@playwright/test";

const tell = (page: Page, change: Change) =>
  page.evaluate((change) => window.fake.change(change), change);
const lastTray = async (page: Page) =>
  (await calls(page, "set_tray")).at(-1)?.tray as {
    share: string;
    recent: { id: string; label: string }[];
  };

test("the tray has the five newest links that live, and no other", async ({
  page,
}) => {
  await open(page, "main");
  await expect.poll(() => calls(page, "set_tray")).toHaveLength(1);
  const { share, recent } = await lastTray(page);
  expect(share).toBe("Share a file…");
  expect(recent.map(({ id }) => id)).toEqual(["s4", "s5", "s6", "s7", "s8"]);
  expect(recent[1]?.label).toBe("Copy the link of invoice-0317.pdf");
  expect(recent[0]?.label).toMatch(/^Copy the link of Hartmann.*….*\.pdf$/);
  expect(recent[0]!.label.length).toBeLessThan(60);
});

test("the tray follows what is shared and revoked, and shows an & as one", async ({
  page,
}) => {
  await open(page, "quiet");
  await page.evaluate(() => {
    const [first] = window.fake.scene.start.shares;
    window.fake.change({
      is: "shares",
      shares: [{ ...first!, id: "new", name: "R&D\u202E.txt" }],
      gone: ["s2"],
    });
  });
  await expect
    .poll(async () => (await lastTray(page)).recent.map(({ id }) => id))
    .toEqual(["new", "s1", "s3", "s4", "s5"]);
  expect((await lastTray(page)).recent[0]?.label).toBe(
    "Copy the link of R&&D\uFFFD.txt",
  );
});

test("what happens while the window is hidden is told, and nothing else", async ({
  page,
}) => {
  await open(page, "quiet");
  const shared = (ids: string[], hidden: boolean): Change => ({
    is: "shared",
    ids,
    copied: true,
    notices: [],
    hidden,
  });
  await tell(page, shared(["s1"], false));
  await tell(page, shared(["s2"], true));
  await tell(page, shared(["s2", "s3"], true));
  await tell(page, {
    is: "copied",
    id: "s3",
    copied: true,
    notices: [],
    hidden: true,
  });
  await tell(page, {
    is: "not_shared",
    name: "a.key",
    hidden: true,
    failure: {
      code: "not_a_file",
      message: "“a.key” isn't a regular file",
      hint: "To share what a program prints, use: … | lapse share - --name NAME",
    },
  });
  await expect
    .poll(async () =>
      (await calls(page, "notify")).map(({ title, body }) => [title, body]),
    )
    .toEqual([
      ["Link copied", expect.stringMatching(/^invoice-0317\.pdf · until /)],
      ["2 links copied", "invoice-0317.pdf and 1 more"],
      ["Link copied", expect.stringMatching(/ · until /)],
      [
        "a.key wasn’t shared",
        "“a.key” isn't a regular file. Save it as a file, then share that.",
      ],
    ]);
});

test("a watched folder tells once what was shared of it", async ({ page }) => {
  await open(page, "quiet");
  const batch = (count: number, copied: boolean, hidden: boolean): Change => ({
    is: "folder_shared",
    name: "Screenshots",
    count,
    id: "s2",
    copied,
    hidden,
  });
  await tell(page, batch(1, false, true));
  await tell(page, batch(10_000, true, true));
  await tell(page, batch(3, false, false));
  await tell(page, batch(3, true, false));
  await expect(
    page.getByText("Link copied: the newest from «Screenshots»"),
  ).toBeVisible();
  expect(
    (await calls(page, "notify")).map(({ title, body }) => [title, body]),
  ).toEqual([
    ["1 file from «Screenshots» is shared", "invoice-0317.pdf"],
    [
      "10,000 files from «Screenshots» are shared",
      "The newest link is on the clipboard",
    ],
  ]);
});

test("without notifications only the way to the tray is told", async ({
  page,
}) => {
  await open(page, "quiet");
  await page.evaluate(() => {
    window.fake.scene.start.preferences.notifications = false;
    window.fake.change({ is: "settings" });
  });
  await expect.poll(() => calls(page, "start")).toHaveLength(2);
  await page.waitForFunction(() => window.calls.at(-1)?.cmd !== "start");
  await tell(page, {
    is: "shared",
    ids: ["s1"],
    copied: true,
    notices: [],
    hidden: true,
  });
  await tell(page, { is: "hidden" });
  await expect
    .poll(async () => (await calls(page, "notify")).map(({ title }) => title))
    .toEqual(["Lapse is still there"]);
});
