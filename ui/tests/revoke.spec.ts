// All links revoked by a new key: what is asked, pressed, told and copied.
import type { Page } from "@playwright/test";
import { expect, open, row, test } from "./page";
import {
  fail,
  LEASE,
  more,
  openRevokeAll,
  revokeAll,
  revokeAllByHand,
} from "./walk";

const asked = (page: Page, cmd: string) =>
  page.evaluate(
    (cmd) =>
      window.calls.filter((call) => call.cmd === cmd).map(({ args }) => args),
    cmd,
  );
const hold = (page: Page) =>
  page.getByRole("button", { name: /Hold to revoke/ });

test("the button is held, and a hold that is too short does nothing", async ({
  page,
}) => {
  await open(page, "quiet");
  await openRevokeAll(page);
  await expect(page.getByRole("button", { name: "Cancel" })).toBeFocused();
  const box = (await hold(page).boundingBox())!;
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.down();
  await page.waitForTimeout(700);
  await page.mouse.up();
  await page.waitForTimeout(1_200);
  expect(await asked(page, "revoke_all")).toEqual([]);
  await page.mouse.down();
  await expect(page.getByText("6 links revoked")).toBeVisible();
  await page.mouse.up();
  expect(await asked(page, "revoke_all")).toHaveLength(1);
  await expect(
    page.getByText("Checked: 6 of 6 old links now refuse access"),
  ).toBeVisible();
});

test("what is kept gets new links, which are copied", async ({ page }) => {
  await open(page, "quiet");
  await openRevokeAll(page);
  await expect(page.getByText("0 of 6 kept")).toBeVisible();
  await page.getByRole("button", { name: "Cancel" }).click();
  await revokeAll(page, ["notes.txt", "invoice-0317.pdf"]);
  await expect(page.getByText("4 links revoked")).toBeVisible();
  await expect(page.getByText("2 links signed again")).toBeVisible();
  const [call] = await asked(page, "revoke_all");
  expect(call).toMatchObject({
    profile: "Studio share",
    stopOthers: false,
    newKey: null,
  });
  expect(call!.keep).toHaveLength(2);
  await page.getByRole("button", { name: "Copy 2 new links" }).click();
  const [copied] = await asked(page, "copy_links");
  expect(new Set(copied!.ids as string[])).toEqual(
    new Set(call!.keep as string[]),
  );
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText("Revoked today").first()).toBeVisible();
});

test("a key of other programs is rotated only with a yes", async ({ page }) => {
  await open(page, "revoke-others");
  await openRevokeAll(page);
  await expect(
    page.getByText(/Every other program that uses AKIA…E7 stops too/),
  ).toBeVisible();
  await expect(page.getByText(/It was last used .+, for s3\./)).toBeVisible();
  await expect(
    page.getByText(/2 links signed by an earlier key stay/),
  ).toBeVisible();
  await expect(hold(page)).toHaveAttribute("aria-disabled", "true");
  await hold(page).press("Enter");
  await hold(page).press("Enter");
  expect(await asked(page, "revoke_all")).toEqual([]);
  await page.getByRole("checkbox", { name: "Stop them too" }).check();
  await hold(page).press("Enter");
  await page.getByRole("button", { name: /Press again/ }).press("Enter");
  await expect(page.getByText("6 links revoked")).toBeVisible();
  expect((await asked(page, "revoke_all"))[0]).toMatchObject({
    stopOthers: true,
  });
  await expect(page.getByText(/you can switch it on again/)).toBeVisible();
});

test("where only the person can switch keys, theirs is asked for", async ({
  page,
}) => {
  await open(page, "revoke-by-hand");
  await openRevokeAll(page);
  await expect(hold(page)).toHaveAttribute("aria-disabled", "true");
  await page.getByLabel("New access key").fill("AKIANEW");
  await page.getByLabel("Its secret").fill("hush");
  await hold(page).press("Enter");
  await page.getByRole("button", { name: /Press again/ }).press("Enter");
  await expect(page.getByText("6 links revoked")).toBeVisible();
  expect((await asked(page, "revoke_all"))[0]).toMatchObject({
    newKey: { access_key: "AKIANEW", secret: "hush" },
  });
});

test("a key that the person hasn't switched off yet isn't called off", async ({
  page,
}) => {
  await open(page, "revoke-by-hand");
  await page.evaluate(() => (window.fake.scene.notKnown = 6));
  await revokeAllByHand(page);
  await expect(
    page.getByText("Your old key isn’t seen to be off yet"),
  ).toBeVisible();
  const steps = page.getByRole("listitem").filter({ hasText: "Now switch" });
  await expect(steps).toHaveText(/Your turn/);
  await expect(
    page.getByText("Checked: 0 of 6 old links now refuse access"),
  ).toBeVisible();
  await expect(page.getByText("Lapse asks again.")).toBeVisible();
});

test("a failure says whether anything changed", async ({ page }) => {
  await open(page, "quiet");
  await fail(page, "revoke_all", "access_denied", "the key may not do that");
  await revokeAll(page);
  await expect(
    page.getByText("Nothing was changed: the links are as they were."),
  ).toBeVisible();
});

test("a rotation goes on when its sheet is closed", async ({ page }) => {
  await open(page, "revoking");
  await revokeAll(page);
  await expect(page.getByText("Old key switched off")).toBeVisible();
  await expect(page.getByText("Working")).toHaveCount(1);
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Revoke all…" }).click();
  await expect(page.getByText("Revoking 6 links")).toBeVisible();
});

test("the file of one share can be kept", async ({ page }) => {
  await open(page, "quiet");
  await page.getByText("notes.txt").first().click();
  await page.getByRole("button", { name: "Revoke this link…" }).click();
  await page
    .getByRole("checkbox", { name: "Keep the file in the bucket" })
    .check();
  await page.getByRole("button", { name: "Revoke", exact: true }).click();
  await expect(
    page.getByText("Checked: 1 of 1 link now refuses access."),
  ).toBeVisible();
  expect((await asked(page, "revoke"))[0]).toMatchObject({ keepFile: true });
});

test("sessions of a role are ended only with a yes, and what can't be asked is told", async ({
  page,
}) => {
  await open(page, "revoke-role");
  await openRevokeAll(page);
  await expect(
    page.getByText("Whoever else uses the role studio-uploads must sign in"),
  ).toBeVisible();
  await expect(hold(page)).toBeDisabled();
  await page.getByRole("checkbox", { name: "End their sessions too" }).check();
  await hold(page).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: /Press again/ }).press("Enter");
  await expect(page.getByText("Earlier sessions ended")).toBeVisible();
  await expect(page.getByText("2 more links can’t be asked")).toBeVisible();
  await expect(page.getByText("switch it on again")).toHaveCount(0);
  const [call] = await asked(page, "revoke_all");
  expect(call).toMatchObject({ endSessionsOf: "studio-uploads" });
});

test("old versions of a revoked file are deleted where that is wanted", async ({
  page,
}) => {
  await open(page, "versions");
  await more(page, "Revoke this link…");
  await page.getByRole("button", { name: "Revoke", exact: true }).click();
  await expect(page.getByText("The bucket keeps old versions")).toBeVisible();
  await fail(page, "purge", "access_denied", "The storage refuses that.");
  await page.getByRole("button", { name: "Delete old versions" }).click();
  await expect(page.getByRole("alert")).toContainText("refuses that");
  await page.getByRole("button", { name: "Delete old versions" }).click();
  await expect(page.getByText("The old versions are deleted.")).toBeVisible();
  await expect(
    page.getByRole("button", { name: "Delete old versions" }),
  ).toHaveCount(0);
});

test("links that were ended elsewhere are told of when the storage was asked", async ({
  page,
}) => {
  await open(page, "quiet");
  await page.evaluate(
    () =>
      (window.fake.scene.noticed = [
        "AKIAEXAMPLE7 was switched off or deleted elsewhere: 6 links that it signed no longer open. Extend a share to give it a new link.",
      ]),
  );
  await row(page, LEASE).locator(".row-name").click();
  await page.getByRole("button", { name: /^Check (now|again)/ }).click();
  await expect(
    page.getByText(/AKIAEXAMPLE7 was switched off.*6 links/),
  ).toBeVisible();
});
