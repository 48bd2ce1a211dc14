// What the window does: by keyboard, by itself, and with names and numbers of all kinds.
import { calls, expect, open, openMany, row, test } from "./page";

const LEASE =
  "Hartmann-lease-agreement_signed_v3-final-corrected-by-legal-department-2026-03.pdf";

test("keys alone copy a link, open it, extend it and revoke it", async ({
  page,
}) => {
  await open(page, "quiet");
  const press = (keys: string) => page.keyboard.press(keys);
  const focused = page.locator(":focus");
  // Storage, search, settings, the tabs, how long, browse, more of browse, then the list: one stop.
  for (let stop = 0; stop < 8; stop++) await press("Tab");
  await expect(focused).toHaveClass("row-name");
  await expect(focused).toContainText("Hartmann");
  await press("Tab");
  await press("Enter");
  await expect(focused).toHaveText("Copied");
  expect(await calls(page, "copy_link")).toHaveLength(1);
  await press("ArrowDown");
  await expect(focused).toHaveAccessibleName(/^Copy.*invoice-0317/);
  await press("Control+c");
  expect(await calls(page, "copy_link")).toHaveLength(2);
  await press("ArrowLeft");
  await press("Enter");
  await expect(
    page.getByRole("heading", { name: "Shared file" }),
  ).toBeFocused();

  await page.getByRole("button", { name: "Extend…" }).focus();
  await press("Enter");
  await expect(page.getByRole("dialog")).toBeVisible();
  await press("Escape");
  await expect(page.getByRole("button", { name: "Extend…" })).toBeFocused();
  await press("Enter");
  for (let stop = 0; stop < 2; stop++) await press("Tab");
  await expect(focused).toHaveText("Make new link");
  await press("Enter");
  await expect(page.getByText(/^New link copied/)).toBeVisible();
  expect(await calls(page, "extend")).toEqual([{ id: "s2", expires: "1d" }]);
  await expect(page.getByText("1 more of this file lives")).toBeVisible();

  await press("Escape");
  await expect(focused).toContainText("invoice-0317.pdf");
  await press("Delete");
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("All 2 links of this file stop");
  await press("Tab");
  await press("Enter");
  await expect(dialog).toContainText(
    "Checked: 2 of 2 links now refuse access.",
  );
  await press("Enter");
  await expect(dialog).toBeHidden();
  // The row went to the ended ones, and the keyboard with it.
  await expect(focused).toContainText("invoice-0317.pdf");
  await expect(row(page, "invoice-0317.pdf")).toContainText("Revoked today");
});

test("a row's menu is a menu", async ({ page }) => {
  await open(page, "quiet");
  const more = row(page, LEASE).getByRole("button", { name: /^More actions/ });
  const press = (keys: string) => page.keyboard.press(keys);
  const focused = page.locator(":focus");
  await more.focus();
  await press("Enter");
  await expect(focused).toHaveText("Show QR code");
  await press("ArrowUp");
  await expect(focused).toHaveText("Revoke this link…");
  await press("ArrowDown");
  await expect(focused).toHaveText("Show QR code");
  await press("End");
  await expect(focused).toHaveText("Revoke this link…");
  await press("Home");
  await press("d");
  await expect(focused).toHaveText("Details");
  await press("Escape");
  await expect(page.getByRole("menu")).toBeHidden();
  await expect(more).toBeFocused();
  await press("Enter");
  await page.mouse.click(310, 24);
  await expect(page.getByRole("menu")).toBeHidden();
  await more.click();
  await page.getByRole("menuitem", { name: "Open in browser" }).click();
  expect(await calls(page, "open_link")).toEqual([{ id: "s1" }]);
  await expect(more).toBeFocused();
});

test("Undo revokes what was shared together and says what was seen", async ({
  page,
}) => {
  await open(page, "copied");
  await expect(page.getByRole("status")).toContainText(
    "Link copied · lasts until tomorrow",
  );
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(page.getByRole("status")).toContainText(
    "Revoked. Checked: 1 of 1 link refuses access",
  );
  expect(await calls(page, "revoke")).toEqual([{ id: "s1", keepFile: false }]);
});

test("Undo takes back the rest of the drop too", async ({ page }) => {
  await open(page, "copied");
  await page.evaluate(() => (window.fake.scene.calledOff = ["s2", "s3"]));
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(page.getByRole("status")).toContainText("3 of 3 links");
  expect(await calls(page, "call_off")).toEqual([{ ids: ["s1"] }]);
  expect((await calls(page, "revoke")).map(({ id }) => id)).toEqual([
    "s1",
    "s2",
    "s3",
  ]);
});

test("a link copied from the tray can't be undone by the way", async ({
  page,
}) => {
  await open(page, "quiet");
  await page.evaluate(() =>
    window.fake.change({
      is: "copied",
      id: "s2",
      copied: true,
      notices: [],
      hidden: false,
    }),
  );
  await expect(page.getByRole("status")).toContainText(
    "Link copied · lasts until",
  );
  await expect(page.getByRole("button", { name: "Undo" })).toHaveCount(0);
});

test("links of many files that weren't copied are copied together", async ({
  page,
}) => {
  await open(page, "quiet");
  await page.evaluate(() =>
    window.fake.change({
      is: "shared",
      ids: ["s1", "s2"],
      copied: false,
      notices: [],
      hidden: false,
    }),
  );
  const toast = page.locator(".toast");
  await expect(toast).toContainText("2 links ready");
  await toast.getByRole("button", { name: "Copy" }).click();
  await expect(toast).toContainText("2 links copied");
  await expect(toast.getByRole("button", { name: "Copy" })).toHaveCount(0);
  await expect(toast.getByRole("button", { name: "Undo" })).toBeVisible();
  expect(await calls(page, "copy_links")).toEqual([{ ids: ["s1", "s2"] }]);
});

test("an undo that isn't seen to work doesn't say that it did", async ({
  page,
}) => {
  await open(page, "copied");
  await page.evaluate(() => (window.fake.scene.notKnown = 1));
  await page.getByRole("button", { name: "Undo" }).click();
  await expect(page.getByRole("status")).toContainText("Checked: 0 of 1 link");
  await expect(page.getByText(/Revoked\. /)).toBeHidden();
});

test("Undo goes after 8 seconds, not while the pointer is on it", async ({
  page,
}) => {
  await page.clock.install();
  await page.goto("/tests/index.html?scene=copied");
  const undo = page.getByRole("button", { name: "Undo" });
  await expect(undo).toBeVisible();
  await undo.hover();
  await page.clock.runFor(20_000);
  await expect(undo).toBeVisible();
  await page.mouse.move(5, 5);
  await page.clock.runFor(8_500);
  await expect(undo).toBeHidden();
});

test("a countdown runs down, turns amber and ends by itself", async ({
  page,
}) => {
  await page.clock.install();
  await page.goto("/tests/index.html?scene=quiet");
  const invoice = row(page, "invoice-0317.pdf");
  await expect(invoice).toContainText("8 min left");
  await expect(invoice.locator(".chip--warn")).toBeVisible();
  await page.clock.runFor(61_000);
  await expect(invoice).toContainText("7 min left");
  await page.clock.runFor(8 * 60_000);
  await expect(invoice).toContainText("Expired today");
  await expect(invoice).toHaveClass(/row--ended/);
  await expect(page.locator("p[aria-live]")).toContainText("invoice-0317.pdf");
});

test("the keyboard stays somewhere when what it is on goes", async ({
  page,
}) => {
  const press = (keys: string) => page.keyboard.press(keys);
  const focused = page.locator(":focus");
  const title = page.getByRole("heading", { name: "Shared file" });
  await open(page, "local");
  await row(page, "slides.odp").locator(".row-name").click();
  await page.getByRole("button", { name: "Check now" }).focus();
  await press("Enter");
  await expect(page.getByText("Checked just now")).toBeVisible();
  await expect(focused).toHaveAccessibleName("Check again");
  await press("Enter");
  await expect.poll(() => calls(page, "check")).toHaveLength(2);
  await expect(focused).toHaveAccessibleName("Check again");

  // Its button goes with the link.
  await page.getByRole("button", { name: "Revoke this link…" }).focus();
  await press("Enter");
  await page.getByRole("button", { name: "Revoke", exact: true }).focus();
  await press("Enter");
  await expect(focused).toHaveText("Done");
  await press("Enter");
  await expect(title).toBeFocused();
  await page.getByRole("button", { name: "Share again" }).focus();
  await press("Enter");
  await expect(page.getByText("Uploading")).toBeVisible();
  await expect(title).toBeFocused();

  await open(page, "not-shared");
  await page.getByRole("button", { name: "Show 2 more" }).focus();
  await press("Enter");
  await expect(focused).toHaveAccessibleName("Dismiss");
  await press("Enter");
  await expect(page.getByText("4 files weren’t shared")).toBeHidden();
  await expect(page.locator(".body :focus")).toHaveCount(1);
});

test("a toast that goes gives the keyboard back", async ({ page }) => {
  await open(page, "copied");
  const focused = page.locator(":focus");
  const name = row(page, LEASE).locator(".row-name");
  await name.focus();
  await page.getByRole("button", { name: "Undo" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByText(/^Revoked\. Checked/)).toBeVisible();
  await expect(name).toBeFocused();
  await page.getByRole("button", { name: "Dismiss" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.locator(".toast")).toHaveCount(0);
  await expect(name).toBeFocused();

  // What it leads to has the focus, and not what was before.
  await page.evaluate(() =>
    window.fake.fail("copy_link", {
      code: "keychain_locked",
      message: "the keychain is locked",
      hint: "",
    }),
  );
  await row(page, LEASE).getByRole("button", { name: /^Copy/ }).press("Enter");
  await page.getByRole("button", { name: "Unlock keychain…" }).focus();
  await page.keyboard.press("Enter");
  await expect(focused).toHaveText("Keychain");
});

test("names are shown as text, whatever they hold", async ({ page }) => {
  await open(page, "names");
  await expect(page).toHaveTitle("Lapse");
  expect(await page.locator(".row img").count()).toBe(0);
  await expect(page.getByText("invoice\uFFFDfdp.exe")).toBeVisible();
  for (const one of await page.locator(".row").all()) {
    const box = (await one.boundingBox())!;
    const copy = (await one
      .getByRole("button", { name: /^Copy/ })
      .boundingBox())!;
    expect(copy.x + copy.width).toBeLessThanOrEqual(box.x + box.width);
    // The last letters are never cut.
    const tail = one.locator(".name-tail");
    if (await tail.count())
      expect(
        await tail.evaluate((node) => {
          const button = node.closest(".row-name")!.getBoundingClientRect();
          const own = node.getBoundingClientRect();
          return own.left >= button.left - 1 && own.right <= button.right + 1;
        }),
      ).toBe(true);
  }
});

test("at 200 % zoom everything is reached and nothing is wider than the window", async ({
  page,
}) => {
  await page.setViewportSize({ width: 210, height: 320 });
  const fits = async () =>
    expect(
      await page.evaluate(() =>
        [...document.querySelectorAll("button, select, input, h1, h2")]
          .filter(
            (node) =>
              node.checkVisibility() && !node.closest(".visually-hidden, .row"),
          )
          .filter((node) => {
            const { left, right } = node.getBoundingClientRect();
            return left < 0 || right > innerWidth;
          })
          .map((node) => node.outerHTML),
      ),
    ).toEqual([]);
  const reached = async (
    name: string | RegExp,
    role: "button" | "link" = "button",
  ) => {
    const one = page.getByRole(role, { name }).first();
    await one.scrollIntoViewIfNeeded();
    await expect(one).toBeInViewport({ ratio: 0.9 });
  };
  for (const scene of ["empty", "main", "not-shared"] as const) {
    await open(page, scene);
    await page.screenshot({ path: `test-results/shots/${scene}-zoomed.png` });
    await fits();
    await reached("Browse…");
    await reached("Settings");
  }
  await open(page, "quiet");
  await reached(/^More actions for Hartmann/);
  await page
    .getByRole("button", { name: /^More actions for Hartmann/ })
    .click();
  await page.getByRole("menuitem", { name: "Revoke this link…" }).click();
  await page.screenshot({ path: "test-results/shots/revoke-zoomed.png" });
  await fits();
  await reached("Revoke");
  await page.keyboard.press("Escape");
  await row(page, LEASE).locator(".row-name").click();
  await page.screenshot({ path: "test-results/shots/detail-zoomed.png" });
  await fits();
  await reached("Extend…");
  await reached("Revoke this link…");
});

test("ten thousand rows scroll without a long frame", async ({ page }) => {
  await openMany(page);
  expect(await page.locator(".row").count()).toBeLessThan(40);
  const frames = await page.evaluate(async () => {
    const list = document.querySelector(".list")!;
    const times: number[] = [];
    let before = performance.now();
    for (let at = 0; at < 240; at++) {
      list.scrollTop += at < 120 ? 173 : 2_311;
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      times.push(now - before);
      before = now;
    }
    return times.sort((a, b) => a - b);
  });
  const at = (part: number) =>
    frames[Math.floor(part * (frames.length - 1))]!.toFixed(1);
  console.log(
    `frames while scrolling 10,000 rows: median ${at(0.5)} ms, 99 % ${at(0.99)} ms, longest ${at(1)} ms`,
  );
  // Far from the goal of 50 for the longest: computers that run tests are busy.
  expect(frames[frames.length >> 1]!).toBeLessThan(100);
  expect(frames.at(-1)!).toBeLessThan(1_000);
  await page.locator(".row-name").first().focus();
  await page.keyboard.press("End");
  await expect(page.locator(":focus")).toContainText("old-0999.jpg");
  await page.keyboard.press("Home");
  await expect(page.locator(":focus")).toContainText("file-00000.pdf");
});

test("rows fill a tall window before anything is scrolled", async ({
  page,
}) => {
  await page.setViewportSize({ width: 900, height: 1_600 });
  await openMany(page);
  const last = await page.evaluate(() => {
    const { left, right, bottom } = document
      .querySelector(".list")!
      .getBoundingClientRect();
    const there = document.elementFromPoint((left + right) / 2, bottom - 40);
    return there?.closest(".row")?.textContent;
  });
  expect(last).toMatch(/file-000\d\d.pdf/);
});

test("the list is as it was left", async ({ page }) => {
  await openMany(page);
  await page.locator(".list").evaluate((list) => list.scrollTo(0, 100_000));
  const inTheMiddle = () =>
    page.evaluate(
      () =>
        document
          .elementFromPoint(150, 420)
          ?.closest(".row")
          ?.querySelector(".row-name")?.textContent ?? "",
    );
  await expect.poll(inTheMiddle).toMatch(/^file-01\d+/);
  const text = await inTheMiddle();
  const scrolled = () =>
    page.locator(".list").evaluate((list) => list.scrollTop);
  const before = await scrolled();
  await row(page, text).locator(".row-name").click();
  await page.keyboard.press("Escape");
  await expect(page.locator(":focus")).toHaveText(text);
  await expect(page.locator(":focus")).toBeInViewport();
  expect(Math.abs((await scrolled()) - before)).toBeLessThan(30);
});

test("how long links last is chosen, typed and kept", async ({ page }) => {
  await open(page, "quiet");
  const select = page.getByLabel("How long new links last");
  await select.selectOption({ label: "3\u00A0days" });
  await expect(select).toHaveValue("3d");
  await select.selectOption({ label: "Other…" });
  await page.getByLabel("Links last").fill("36");
  await page.getByLabel("Unit").selectOption("h");
  await page.keyboard.press("Tab");
  await page.getByRole("button", { name: "Set", exact: true }).click();
  await expect(select).toHaveValue("36h");
  await expect(select).toBeFocused();
  const kept = await calls(page, "set_preferences");
  expect(
    kept.map(({ preferences }) => (preferences as { expires: string }).expires),
  ).toEqual(["3d", "36h"]);
});

test("paste shares, but not from a field, and says when there is nothing", async ({
  page,
}) => {
  await open(page, "quiet");
  await page.keyboard.press("Control+v");
  await expect.poll(() => calls(page, "paste")).toHaveLength(1);
  await page.keyboard.press("Control+f");
  await page.keyboard.press("Control+v");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("button", { name: "Search" })).toBeFocused();
  expect(await calls(page, "paste")).toHaveLength(1);
  await page.evaluate(() => (window.fake.scene.pasted = 0));
  await page.keyboard.press("Control+v");
  await expect(page.getByRole("status")).toContainText("no file or picture");
});

test("shortcuts work on a keyboard without Latin letters", async ({ page }) => {
  await open(page, "quiet");
  await row(page, LEASE).locator(".row-name").focus();
  const press = (key: string, code: string) =>
    page.evaluate(
      ([key, code]) =>
        document.activeElement!.dispatchEvent(
          new KeyboardEvent("keydown", {
            key,
            code,
            ctrlKey: true,
            bubbles: true,
          }),
        ),
      [key, code] as const,
    );
  await press("с", "KeyC");
  await expect.poll(() => calls(page, "copy_link")).toHaveLength(1);
  await press("м", "KeyV");
  await expect.poll(() => calls(page, "paste")).toHaveLength(1);
  await press("а", "KeyF");
  await expect(page.getByRole("searchbox")).toBeFocused();
});

test("uploads are paused, resumed, cancelled and retried", async ({ page }) => {
  await open(page, "main");
  const video = row(page, "coast-walk_final-cut.mov");
  await expect(video).toContainText("Uploading 42% of 1.8 GiB");
  await expect(video).toContainText("18 MiB/s · 1 min left");
  await video.getByRole("button", { name: "Pause upload" }).click();
  await expect(video).toContainText("Paused at 42%");
  await video.getByRole("button", { name: "Resume upload" }).click();
  await expect(video).toContainText("Uploading");
  await video.getByRole("button", { name: "Cancel upload" }).click();
  await expect(video).toHaveCount(0);
  // The keyboard stays in the list.
  await expect(page.locator(".list :focus")).toHaveCount(1);
  await row(page, "backup-2026-03-01.tar.gz")
    .getByRole("button", { name: /^Retry/ })
    .click();
  expect(await calls(page, "share_again")).toHaveLength(1);
});

test("ended links are cleared, live ones stay", async ({ page }) => {
  await open(page, "quiet");
  await page.getByRole("button", { name: "Clear list" }).click();
  await expect(page.getByRole("heading", { name: "Ended" })).toBeHidden();
  await expect(page.locator(".row")).toHaveCount(6);
});

test("a link at an address that the store left isn't told to open", async ({
  page,
}) => {
  await open(page, "local");
  const lost = row(page, "minutes-of-the-meeting.pdf");
  await expect(lost).toContainText("opens nowhere");
  await expect(lost.locator(".chip--warn")).toBeVisible();
  await expect(lost.getByRole("button", { name: /^Copy/ })).toHaveCount(0);
  await expect(lost.getByRole("button", { name: /^Check/ })).toBeVisible();
  await page.setViewportSize({ width: 880, height: 640 });
  await expect(lost.getByText("opens nowhere")).toBeVisible();
  await lost.locator(".row-name").click();
  const body = page.locator(".body");
  await expect(body).toContainText("This link opens nowhere now");
  await expect(body).toContainText("the link worked then");
  await expect(body).not.toContainText("on this computer only");
});

test("what wasn't shared stays said until it is dismissed", async ({
  page,
}) => {
  await open(page, "not-shared");
  await expect(page.getByText("4 files weren’t shared")).toBeVisible();
  await page.getByRole("button", { name: "Show 2 more" }).click();
  await expect(page.getByText(/removed\.mov.*any more/)).toBeVisible();
  await page.getByRole("button", { name: "Dismiss" }).click();
  await expect(page.getByText("4 files weren’t shared")).toBeHidden();
});

test("zoom is kept by the shell", async ({ page }) => {
  await open(page, "quiet");
  for (const keys of ["Control++", "Control++", "Control+-", "Control+0"])
    await page.keyboard.press(keys);
  await expect
    .poll(async () =>
      (await calls(page, "set_preferences")).map(
        ({ preferences }) => (preferences as { zoom: number }).zoom,
      ),
    )
    .toEqual([1.1, 1.25, 1.1, 1]);
});

test("a problem at the start is the whole screen, and can be tried again", async ({
  page,
}) => {
  await open(page, "problem");
  await expect(page.getByRole("alert")).toContainText("newer Lapse");
  await page.evaluate(() => (window.fake.scene.start.problem = null));
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(
    page.getByRole("heading", { name: /Drop a file/ }),
  ).toBeVisible();
});

test("while nothing works, a drop, a failure and a question to quit are answered", async ({
  page,
}) => {
  await open(page, "problem");
  await page.evaluate(() => {
    const failure = {
      code: "database_newer",
      message: "the list was written by a newer Lapse",
      hint: "Install the newest Lapse.",
    };
    window.fake.change({
      is: "not_shared",
      name: "a.pdf",
      hidden: false,
      failure,
    });
  });
  await expect(page.getByText("1 file wasn’t shared")).toBeVisible();
  await page.screenshot({ path: "test-results/shots/problem-dropped.png" });
  await page.getByRole("button", { name: "Dismiss" }).click();
  await expect(page.getByText("1 file wasn’t shared")).toBeHidden();
  await page.evaluate(() =>
    window.fake.change({
      is: "shared",
      ids: ["s1"],
      copied: true,
      notices: [],
      hidden: false,
    }),
  );
  await expect(page.locator(".toast")).toContainText("Link copied");
  await page.evaluate(() =>
    window.fake.change({
      is: "quit_asked",
      uploads: 0,
      waiting: 0,
      local_links: 1,
      can_keep: true,
    }),
  );
  await page.getByRole("button", { name: "Quit and stop all" }).click();
  expect(await calls(page, "quit")).toEqual([{ how: "stop_all" }]);
});

test("with less motion nothing rises, and forced colours keep the words", async ({
  page,
}) => {
  await page.emulateMedia({ reducedMotion: "reduce", forcedColors: "active" });
  await open(page, "copied");
  await expect(page.getByText(/^Link copied/)).toBeVisible();
  expect(
    await page.evaluate(() =>
      document
        .getAnimations()
        .map((one) => (one as CSSAnimation).animationName)
        .filter((name) => name !== "run-out"),
    ),
  ).toEqual([]);
  await page.screenshot({ path: "test-results/shots/copied-forced.png" });
});

test("Escape leaves a screen, and search takes the keyboard from anywhere", async ({
  page,
}) => {
  await open(page, "main");
  const settings = page.getByRole("heading", { name: "Settings" });
  await page.getByRole("button", { name: "Settings" }).click();
  await expect(settings).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(settings).toBeHidden();

  await page.getByRole("button", { name: "Settings" }).click();
  await expect(settings).toBeVisible();
  await page.keyboard.press("Control+f");
  const search = page.getByRole("searchbox");
  await expect(search).toBeFocused();
  await page.keyboard.type("lease");
  await expect(search).toHaveValue("lease");
});
