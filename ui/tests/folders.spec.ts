// Watched folders: their tab, and what is chosen for each.
import { expect, open, test } from "./page";
import { fail } from "./walk";

const calls = (page: import("@playwright/test").Page, cmd: string) =>
  page.evaluate(
    (cmd) =>
      window.calls.filter((call) => call.cmd === cmd).map(({ args }) => args),
    cmd,
  );

test("the tab says how each folder goes and what goes wrong", async ({
  page,
}) => {
  await open(page, "quiet");
  const tab = page.getByRole("tab", { name: "Folders 3" });
  await tab.click();
  await expect(tab).toHaveAttribute("aria-selected", "true");
  const card = (path: string) =>
    page.getByRole("listitem").filter({ hasText: path });
  await expect(card("Screenshots")).toContainText("Watching");
  await expect(card("Screenshots")).toContainText("412 files");
  await expect(card("Exports")).toContainText("Catching up 0 of 3,280");
  await expect(card("Exports")).toContainText("scene 12.exr: can't read");
  await expect(card("DCIM")).toContainText("Paused: folder not found");
  // As more of them are shared the batch stays the same.
  await page.evaluate(() => {
    Object.assign(window.fake.scene.folders[1]!, {
      shared: 1120,
      waiting: 2280,
    });
    window.fake.change({ is: "folders" });
  });
  await expect(card("Exports")).toContainText("Catching up 1,000 of 3,280");
  await expect(page.getByRole("progressbar")).toHaveAttribute("value", "1000");
  await card("DCIM").getByRole("button", { name: "Locate…" }).click();
  await expect(card("DCIM")).toContainText("Watching");
  await page.evaluate(() => {
    window.fake.scene.folders[0]!.state = "silent";
    window.fake.change({ is: "folders" });
  });
  await expect(card("Screenshots")).toContainText("its disk doesn’t answer");
  await page.keyboard.press("Escape");
  await expect(page.getByRole("tab", { name: /^Shared/ })).toHaveAttribute(
    "aria-selected",
    "true",
  );
});

test("what is chosen is kept, and nothing else is touched", async ({
  page,
}) => {
  await open(page, "quiet");
  await page.getByRole("tab", { name: "Folders 3" }).click();
  await page.getByText("Options").first().click();
  await page
    .getByRole("switch", { name: "Watch ~/Pictures/Screenshots" })
    .click();
  await expect(page.getByText("Paused", { exact: true })).toBeVisible();
  expect(await calls(page, "set_folder")).toMatchObject([
    { id: 1, choice: { paused: true } },
  ]);
  await page.getByLabel(/^How long links from ~\/Pictures/).selectOption("1d");
  await page.getByLabel("Ignore").first().fill("*.{log,bak}, /drafts/,");
  await page.getByLabel("Ignore").first().blur();
  await page.getByLabel("Copy the newest link").first().click();
  await page.getByLabel("Folders in it too").first().click();
  const none = {
    expires: null,
    copy: null,
    ignore: null,
    recursive: null,
    paused: null,
  };
  await expect
    .poll(() => calls(page, "set_folder").then((all) => all.slice(1)))
    .toEqual(
      [
        { expires: "1d" },
        { ignore: ["*.{log,bak}", "/drafts/"] },
        { copy: false },
        { recursive: true },
      ].map((choice) => ({ id: 1, choice: { ...none, ...choice } })),
    );
  await page.getByRole("button", { name: "Stop watching…" }).click();
  await page.getByRole("checkbox", { name: "Revoke these links too" }).check();
  await page
    .getByRole("button", { name: "Stop watching", exact: true })
    .click();
  await expect(page.getByRole("tab", { name: "Folders 2" })).toBeVisible();
  expect(await calls(page, "remove_folder")).toEqual([{ id: 1, revoke: true }]);
});

test("a switch that can't be set is drawn as it is", async ({ page }) => {
  await open(page, "quiet");
  await page.getByRole("tab", { name: "Folders 3" }).click();
  await fail(page, "set_folder", "config", "config.toml can't be written");
  const watch = page.getByRole("switch", {
    name: "Watch ~/Pictures/Screenshots",
  });
  await watch.click();
  await expect(page.getByText(/config.toml can't be written/)).toBeVisible();
  await expect(watch).toBeChecked();
  await watch.click();
  await expect(page.getByText("Paused", { exact: true })).toBeVisible();
});

test("files of one name that can't be shared are shown each", async ({
  page,
}) => {
  await open(page, "quiet");
  await page.evaluate(() => {
    const [folder] = window.fake.scene.folders;
    folder!.failed = ["x", "y"].map((dir) => ({
      name: "index.html",
      why: `can't read it in ${dir}`,
    }));
  });
  await page.getByRole("tab", { name: "Folders 3" }).click();
  await expect(page.getByText("index.html: can't read it in x")).toBeVisible();
  await expect(page.getByText("index.html: can't read it in y")).toBeVisible();
});

test("a first folder is one press away, and a refusal says why", async ({
  page,
}) => {
  await open(page, "empty");
  await page.getByRole("button", { name: "Watch a folder…" }).click();
  await page.evaluate(() =>
    window.fake.fail("add_folder", {
      code: "folder",
      message: "That is your home folder",
      hint: "Choose a folder in it.",
    }),
  );
  await page.getByRole("button", { name: "Add folder…" }).click();
  await expect(page.getByText(/Choose a folder in it/)).toBeVisible();
});
