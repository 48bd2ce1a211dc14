import type { Page } from "@playwright/test";
import { calls, expect, open, test } from "./page";
import { fail, fits, look, openSettings, openStorages } from "./walk";

const press = (page: Page, name: string | RegExp) =>
  page.getByRole("button", { name, exact: true }).click();
/** What was last asked to be kept. */
const kept = async (page: Page) =>
  (await calls(page, "set_preferences")).at(-1)?.preferences;
const askToQuit = (
  page: Page,
  uploads: number,
  local_links: number,
  more: { waiting?: number; can_keep?: boolean } = {},
) =>
  page.evaluate((asked) => window.fake.change({ is: "quit_asked", ...asked }), {
    uploads,
    local_links,
    waiting: 0,
    can_keep: true,
    ...more,
  });

for (const theme of ["light", "dark"] as const) {
  test(`settings and storages are drawn, ${theme}`, async ({ page }) => {
    test.slow();
    await openSettings(page, "quiet", theme);
    await look(page, `settings-${theme}`);
    await press(page, "Manage…");
    await look(page, `storages-${theme}`);
    await page.getByRole("button", { name: /Studio share/ }).click();
    await expect(page.getByText("Expiry enforced")).toBeVisible();
    await look(page, `storage-${theme}`);
    await press(page, "Remove…");
    await look(page, `remove-${theme}`);
    await page.keyboard.press("Escape");
    await press(page, "Back");
    await page.getByRole("button", { name: /On this computer/ }).click();
    await look(page, `local-${theme}`);
  });

  test(`the question before Lapse quits is drawn, ${theme}`, async ({
    page,
  }) => {
    await open(page, "main", theme);
    await askToQuit(page, 2, 3, { waiting: 40 });
    await look(page, `quit-${theme}`);
  });
}

test("each choice is kept at once", async ({ page }) => {
  await openSettings(page, "quiet");
  for (const [name, part, value] of [
    ["Start at login", "start_at_login", true],
    ["Copy new links to the clipboard", "copy_links", false],
    ["Notifications", "notifications", false],
    ["Keep in the tray when closed", "close_to_tray", false],
  ] as const) {
    await page.getByRole("switch", { name }).click();
    await expect.poll(() => kept(page)).toMatchObject({ [part]: value });
    await expect(page.getByRole("switch", { name })).toBeChecked({
      checked: value,
    });
  }
  await page.getByLabel("How long new links last").selectOption("3 days");
  await expect.poll(() => kept(page)).toMatchObject({ expires: "3d" });
  await page.getByRole("radio", { name: "Dark" }).click();
  await expect.poll(() => kept(page)).toMatchObject({ theme: "dark" });
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.getByLabel("Language").selectOption("System");
  await expect.poll(() => kept(page)).toMatchObject({ language: "system" });
  await page.getByLabel("Upload speed").selectOption({ index: 2 });
  await expect
    .poll(() => kept(page))
    .toMatchObject({ upload_limit: 5_242_880 });
  await page.getByLabel("Upload speed").selectOption("No limit");
  await expect.poll(() => kept(page)).toMatchObject({ upload_limit: null });
  // What wasn't touched last is still as it was chosen.
  expect(await kept(page)).toMatchObject({
    start_at_login: true,
    expires: "3d",
    theme: "dark",
    zoom: 1,
  });
});

test("choices that follow each other at once are all kept", async ({
  page,
}) => {
  await openSettings(page, "quiet");
  await page.evaluate(() => {
    const press = (key: string) =>
      window.dispatchEvent(
        new KeyboardEvent("keydown", { key, ctrlKey: true, bubbles: true }),
      );
    press("+");
    press("+");
    const radio = document.querySelector<HTMLElement>("input[value=dark]");
    const box = document.querySelector<HTMLElement>("input[role=switch]");
    radio!.click();
    box!.click();
  });
  await expect
    .poll(() => calls(page, "set_preferences").then((all) => all.length))
    .toBe(4);
  expect(await kept(page)).toMatchObject({
    zoom: 1.25,
    theme: "dark",
    start_at_login: true,
  });
  await expect(
    page.getByRole("switch", { name: "Start at login" }),
  ).toBeChecked();
  await expect(page.getByRole("radio", { name: "Dark" })).toBeChecked();
});

test("a choice that is refused doesn't take the next one with it", async ({
  page,
}) => {
  await openSettings(page, "quiet");
  await fail(page, "set_preferences", "disk_full", "The disk is full");
  await page.evaluate(() => {
    document.querySelector<HTMLElement>("input[value=dark]")!.click();
    document.querySelector<HTMLElement>("input[role=switch]")!.click();
  });
  await expect(page.getByText("The disk is full").first()).toBeVisible();
  await expect
    .poll(() => kept(page))
    .toMatchObject({ theme: "light", start_at_login: true });
});

test("a length and a speed of one's own can be typed", async ({ page }) => {
  await openSettings(page, "quiet");
  await page.getByLabel("How long new links last").selectOption("Other…");
  await page.keyboard.type("36");
  await page.getByLabel("Unit").selectOption("hours");
  await press(page, "Set");
  await expect.poll(() => kept(page)).toMatchObject({ expires: "36h" });
  await expect(page.getByLabel("How long new links last")).toHaveValue("36h");

  const speed = page.getByLabel("Upload speed");
  await speed.selectOption("Other…");
  const input = page.getByRole("spinbutton", { name: /Upload speed/ });
  await expect(input).toBeFocused();
  await input.fill("0");
  await page.keyboard.press("Enter");
  await expect(input).toHaveAccessibleDescription(/Enter a number from/);
  await input.fill("2.5");
  await page.keyboard.press("Enter");
  await expect
    .poll(() => kept(page))
    .toMatchObject({ upload_limit: 2_621_440 });
  await expect(speed).toHaveValue("2621440");
  await expect(speed).toBeFocused();
  await speed.selectOption("Other…");
  await page.keyboard.press("Escape");
  await expect(speed).toHaveValue("2621440");
});

test("a choice that can't be kept goes back, and why is said", async ({
  page,
}) => {
  await openSettings(page, "quiet");
  const refuse = () =>
    fail(page, "set_preferences", "disk_full", "The disk is full");
  const login = page.getByRole("switch", { name: "Start at login" });
  await refuse();
  await login.click();
  await expect(page.getByText("The disk is full").first()).toBeVisible();
  await expect(login).not.toBeChecked();
  await refuse();
  await page.getByRole("radio", { name: "Dark" }).click();
  await expect(page.getByRole("radio", { name: "Light" })).toBeChecked();
  await refuse();
  await page.getByLabel("Upload speed").selectOption({ index: 1 });
  await expect(page.getByLabel("Upload speed")).toHaveValue("none");
  await refuse();
  await page.getByLabel("How long new links last").selectOption("7 days");
  await expect(page.getByLabel("How long new links last")).toHaveValue("1d");
});

test("keys, data and version are told", async ({ page }) => {
  await openSettings(page, "quiet");
  await expect(page.getByText("Holds the keys of 1 storage")).toBeVisible();
  await expect(page.getByText("~/.local/share/lapse")).toBeVisible();
  await expect(page.getByText("Lapse 0.1.0")).toBeVisible();
  await press(page, "Show");
  await expect.poll(() => calls(page, "show_data")).toHaveLength(1);
  await openSettings(page, "locked");
  await press(page, "Unlock…");
  await expect(
    page.getByRole("heading", { name: "Your keychain is locked" }),
  ).toBeVisible();
  await openSettings(page, "setup");
  await expect(page.getByText("No storage needs it yet")).toBeVisible();
  expect(await calls(page, "keychain")).toEqual([]);
});

test("another storage is used, and checked again", async ({ page }) => {
  await openStorages(page, "quiet");
  await page.getByRole("button", { name: /On this computer/ }).click();
  await press(page, "Use for new links");
  await expect
    .poll(() => calls(page, "use_profile"))
    .toEqual([{ name: "local" }]);
  await expect(page.getByText("In use")).toBeVisible();
  await expect(
    page.getByRole("heading", { name: "On this computer" }),
  ).toBeFocused();
  await press(page, "Back");
  await page.getByRole("button", { name: /Studio share/ }).click();
  await press(page, "Check again");
  await expect(page.getByText("Studio share is ready to use.")).toBeVisible();
  await expect(page.getByRole("button", { name: "Check again" })).toBeFocused();
  expect(await calls(page, "check_profile")).toEqual([
    { name: "Studio share" },
  ]);
});

test("the store on this computer tells what it is, and can't be removed", async ({
  page,
}) => {
  await openStorages(page, "local");
  await page.evaluate(() => {
    Object.assign(window.fake.scene.store, {
      live_links: 2,
      bytes: 11_534_336,
    });
  });
  await page.getByRole("button", { name: /On this computer/ }).click();
  await expect(page.getByText("11 MiB")).toBeVisible();
  await expect(page.getByRole("button", { name: /Remove/ })).toHaveCount(0);
  await page.getByRole("radio", { name: /local network/ }).check();
  await press(page, "Apply");
  await expect
    .poll(() => calls(page, "listen_in"))
    .toEqual([{ networkInterface: "wlan0" }]);
  await expect(page.getByText("192.168.1.20").first()).toBeVisible();
  await expect(page.getByRole("button", { name: "Apply" })).toHaveCount(0);
  await expect(
    page.getByRole("radio", { name: /local network/ }),
  ).toBeFocused();
});

test("what changes elsewhere leaves a choice that isn't applied, and a check that runs", async ({
  page,
}) => {
  const changed = async () => {
    const before = (await calls(page, "start")).length;
    await page.evaluate(() => window.fake.change({ is: "settings" }));
    await expect
      .poll(async () => (await calls(page, "start")).length)
      .toBeGreaterThan(before);
  };
  await openStorages(page, "quiet");
  await page.getByRole("button", { name: /On this computer/ }).click();
  const network = page.getByRole("radio", { name: /local network/ });
  await network.check();
  await page.evaluate(() => (window.fake.scene.store.bytes = 11_534_336));
  await changed();
  // What is told of it is as it is now.
  await expect(page.getByText("11 MiB")).toBeVisible();
  await expect(network).toBeChecked();
  await expect(page.getByRole("button", { name: "Apply" })).toBeVisible();

  await press(page, "Back");
  await page.getByRole("button", { name: /Studio share/ }).click();
  await page.evaluate(() => (window.fake.scene.findingEvery = 250));
  const lines = page.locator(".cap:not(.cap--now)");
  await expect(lines).toHaveCount(12);
  await press(page, "Check again");
  await expect.poll(() => lines.count()).toBeLessThan(4);
  await changed();
  await expect.poll(() => calls(page, "findings")).toHaveLength(2);
  expect(await lines.count()).toBeLessThan(10);
  await expect(page.getByText("Studio share is ready to use.")).toBeVisible();
  await expect(lines).toHaveCount(12);
});

test("a change of the settings is one question, and a broken one changes nothing", async ({
  page,
}) => {
  await open(page, "quiet");
  const asked = () =>
    page.evaluate(() => window.calls.splice(0).map(({ cmd }) => cmd));
  const changed = async () => {
    await page.evaluate(() => window.fake.change({ is: "settings" }));
    await expect.poll(() => calls(page, "start")).not.toEqual([]);
  };
  await asked();
  await page.evaluate(() => {
    const [, studio] = window.fake.scene.start.profiles;
    studio!.name = "Another";
  });
  await changed();
  const storage = page.getByRole("button", { name: /^Storage: Another/ });
  await expect(storage).toBeVisible();
  expect(await asked()).toEqual(["start", "folders", "keychain"]);

  // What the shell says when it can't read them.
  await page.evaluate(() => {
    const { start } = window.fake.scene;
    start.profiles = [];
    start.preferences = { ...start.preferences, theme: "dark" };
    start.problem = { code: "config", message: "broken", hint: "" };
  });
  await changed();
  // It has been drawn by then.
  await page.evaluate(() => new Promise(requestAnimationFrame));
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light");
  await expect(storage).toBeVisible();
});

test("a storage with live links is removed only after a second yes", async ({
  page,
}) => {
  await openStorages(page, "quiet");
  await page.getByRole("button", { name: /Studio share/ }).click();
  await press(page, "Remove…");
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("6 links of it are alive");
  await expect(page.getByRole("button", { name: "Keep it" })).toBeFocused();
  // The focus stays inside, and returns to where it was.
  for (let tab = 0; tab < 5; tab += 1) {
    await page.keyboard.press("Tab");
    expect(
      await page.evaluate(
        () =>
          document.activeElement === document.body ||
          !!document.activeElement?.closest("dialog"),
      ),
    ).toBe(true);
  }
  await page.keyboard.press("Escape");
  await expect(dialog).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Remove…" })).toBeFocused();
  expect(await calls(page, "remove_profile")).toEqual([]);

  await press(page, "Remove…");
  await press(page, "Remove");
  await expect(dialog).toContainText("Give up control of live links?");
  await expect(page.getByRole("button", { name: "Keep it" })).toBeFocused();
  expect(await calls(page, "remove_profile")).toEqual([]);
  await press(page, "Remove, links stay open");
  await expect(dialog).toHaveCount(0);
  expect(await calls(page, "remove_profile")).toEqual([
    { name: "Studio share", despiteLinks: true },
  ]);
  await expect(page.getByRole("button", { name: /Studio share/ })).toHaveCount(
    0,
  );
});

test("a storage without live links is removed at once, or says why not", async ({
  page,
}) => {
  await openStorages(page, "quiet");
  await page.evaluate(() => {
    for (const profile of window.fake.scene.start.profiles)
      profile.live_links = 0;
    window.fake.change({ is: "settings" });
  });
  await page.getByRole("button", { name: /Studio share/ }).click();
  await press(page, "Remove…");
  await fail(
    page,
    "remove_profile",
    "keychain_locked",
    "the keychain is locked",
  );
  await press(page, "Remove");
  await expect(page.getByRole("alert")).toContainText(
    "The keychain is locked.",
  );
  await press(page, "Remove");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  expect((await calls(page, "remove_profile")).at(-1)).toEqual({
    name: "Studio share",
    despiteLinks: false,
  });
});

test("quitting asks, and does what is answered", async ({ page }) => {
  await open(page, "main");
  await askToQuit(page, 2, 3);
  await expect(page.getByRole("button", { name: "Stay" })).toBeFocused();
  await expect(page.getByRole("dialog")).toContainText(
    "2 uploads are under way",
  );
  await expect(page.getByRole("dialog")).toContainText("3 links are served");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await askToQuit(page, 0, 1);
  await press(page, "Quit, keep links working");
  await askToQuit(page, 0, 1);
  await press(page, "Quit and stop all");
  await expect
    .poll(() => calls(page, "quit"))
    .toEqual([{ how: "stay" }, { how: "keep_links" }, { how: "stop_all" }]);
  await open(page, "main");
  await askToQuit(page, 1, 0);
  await expect(page.getByRole("button", { name: /keep links/ })).toHaveCount(0);
  await fail(page, "quit", "store", "the store can't be handed over");
  await press(page, "Quit");
  await expect(page.getByRole("alert")).toContainText(
    "The store can't be handed over.",
  );
  await page.keyboard.press("Escape");
  await expect
    .poll(() => calls(page, "quit"))
    .toEqual([{ how: "stop_all" }, { how: "stay" }]);
});

test("links that nothing can go on with aren't promised to go on, and files that wait are counted", async ({
  page,
}) => {
  await open(page, "main");
  await askToQuit(page, 0, 1, { waiting: 7, can_keep: false });
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("7 files haven’t begun");
  await expect(dialog).toContainText("1 link is served");
  await expect(dialog).not.toContainText("Kept in the background");
  await expect(page.getByRole("button", { name: /keep links/ })).toHaveCount(0);
  await press(page, "Quit and stop all");
  await expect.poll(() => calls(page, "quit")).toEqual([{ how: "stop_all" }]);
});

test("settings fit a window at 200 % zoom", async ({ page }) => {
  await page.setViewportSize({ width: 210, height: 320 });
  await openSettings(page, "quiet");
  await fits(page, "settings");
  await press(page, "Manage…");
  await fits(page, "storages");
  await page.getByRole("button", { name: /Studio share/ }).click();
  await fits(page, "storage");
  await press(page, "Remove…");
  await fits(page, "remove");
  await open(page, "main");
  await askToQuit(page, 2, 3);
  await fits(page, "quit");
});
