// Every state of the window in light and dark: drawn, kept as a picture, and looked at by axe.
import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, open, row, test, type SceneName } from "./page";
import { scenes } from "./scenes";
import { LEASE, more, openRevokeAll, revokeAll, revokeAllByHand } from "./walk";

/** Set-up and the keychain's screen have their own tests; some look as others do until something is pressed. */
const OTHERS: SceneName[] = [
  "setup",
  "locked",
  "revoking",
  "revoke-others",
  "revoke-by-hand",
  "revoke-role",
  "versions",
];

type Look = [
  name: string,
  scene: SceneName,
  act?: (page: Page) => Promise<unknown>,
];
const openFolders = (page: Page) =>
  page.getByRole("button", { name: "Watch a folder…" }).click();
const looks: Look[] = [
  ...(Object.keys(scenes) as SceneName[])
    .filter((scene) => !OTHERS.includes(scene))
    .map((scene): Look => [scene, scene]),
  ["detail", "quiet", (page) => row(page, LEASE).locator(".row-name").click()],
  [
    "detail-ended",
    "quiet",
    (page) => row(page, "pricing-draft.xlsx").locator(".row-name").click(),
  ],
  [
    "detail-unreachable",
    "offline",
    (page) => row(page, LEASE).locator(".row-name").click(),
  ],
  [
    "detail-not-checked",
    "local",
    (page) => row(page, "slides.odp").locator(".row-name").click(),
  ],
  [
    "detail-nowhere",
    "local",
    (page) =>
      row(page, "minutes-of-the-meeting.pdf").locator(".row-name").click(),
  ],
  [
    "folders",
    "quiet",
    async (page) => {
      await page.getByRole("tab", { name: /^Folders/ }).click();
      await page.getByText("Options").first().click();
    },
  ],
  ["folders-none", "empty", openFolders],
  [
    "folders-stop",
    "quiet",
    async (page) => {
      await page.getByRole("tab", { name: /^Folders/ }).click();
      await page.getByText("Options").first().click();
      await page.getByRole("button", { name: "Stop watching…" }).click();
    },
  ],
  ["revoke-all", "quiet", openRevokeAll],
  ["revoke-all-others", "revoke-others", openRevokeAll],
  ["revoke-all-by-hand", "revoke-by-hand", openRevokeAll],
  [
    "revoke-all-still-on",
    "revoke-by-hand",
    async (page) => {
      await page.evaluate(() => (window.fake.scene.notKnown = 1));
      await revokeAllByHand(page);
      await expect(
        page.getByText("Your old key isn’t seen to be off yet"),
      ).toBeVisible();
    },
  ],
  ["revoke-all-role", "revoke-role", openRevokeAll],
  ["revoke-all-steps", "revoking", (page) => revokeAll(page)],
  [
    "revoke-all-done",
    "quiet",
    async (page) => {
      await revokeAll(page, ["notes.txt", "invoice-0317.pdf"]);
      await expect(page.getByText("4 links revoked")).toBeVisible();
    },
  ],
  [
    "menu",
    "quiet",
    (page) =>
      row(page, LEASE)
        .getByRole("button", { name: /More actions/ })
        .click(),
  ],
  [
    "storages",
    "quiet",
    (page) => page.getByRole("button", { name: /^Storage/ }).click(),
  ],
  ["qr", "quiet", (page) => more(page, "Show QR code")],
  ["extend", "quiet", (page) => more(page, "Extend…")],
  ["revoke", "quiet", (page) => more(page, "Revoke this link…")],
  [
    "revoked",
    "quiet",
    async (page) => {
      await more(page, "Revoke this link…");
      await page.getByRole("button", { name: "Revoke", exact: true }).click();
      await expect(page.getByText(/Checked: 1 of 1/)).toBeVisible();
    },
  ],
  [
    "revoked-versions",
    "versions",
    async (page) => {
      await more(page, "Revoke this link…");
      await page.getByRole("button", { name: "Revoke", exact: true }).click();
      await expect(page.getByText("Delete old versions")).toBeVisible();
    },
  ],
  [
    "search",
    "quiet",
    async (page) => {
      await page.keyboard.press("Control+f");
      await page.keyboard.type("lease");
      await expect(page.locator(".row")).toHaveCount(1);
    },
  ],
  [
    "search-nothing",
    "quiet",
    async (page) => {
      await page.keyboard.press("Control+f");
      await page.keyboard.type("zzz");
      await expect(page.getByText(/No shared file/)).toBeVisible();
    },
  ],
  [
    "dragover",
    "quiet",
    (page) =>
      page.evaluate(() =>
        window.fake.change({
          is: "drag_over",
          name: "coast-walk_final-cut.mov",
          size: 1.8e9,
          count: 1,
        }),
      ),
  ],
  [
    "dragover-text",
    "quiet",
    (page) =>
      page.evaluate(() =>
        window.fake.change({
          is: "drag_over",
          name: null,
          size: null,
          count: 1,
        }),
      ),
  ],
  [
    "lasts-wrong",
    "quiet",
    async (page) => {
      await page
        .getByLabel("How long new links last")
        .selectOption({ label: "Other…" });
      await page.getByLabel("Links last").fill("300");
      await page.keyboard.press("Enter");
      await expect(page.getByRole("alert")).toContainText("7 days");
    },
  ],
  [
    "failure",
    "quiet",
    async (page) => {
      await page.evaluate(() =>
        window.fake.fail("copy_link", {
          code: "expired_sign_in",
          message: "The sign-in of “Studio share” is over",
          hint: "Sign in again with your AWS tools, then copy the link.",
        }),
      );
      await row(page, LEASE).getByRole("button", { name: /^Copy/ }).click();
    },
  ],
];

for (const [name, scene, act] of looks)
  for (const theme of ["light", "dark"] as const)
    test(`${name} is drawn in ${theme}`, async ({ page }) => {
      await open(page, scene, theme);
      await act?.(page);
      // Things that rise are in place after this.
      await page.waitForFunction(() =>
        document
          .getAnimations()
          .every(
            (one) =>
              one.playState !== "running" ||
              !(one instanceof CSSAnimation) ||
              ["run-out", "spin"].includes(one.animationName),
          ),
      );
      if (scene === "loading")
        await expect(page.locator(".skeleton")).toBeVisible();
      await page.screenshot({
        path: `test-results/shots/${name}-${theme}.png`,
      });
      const axe = new AxeBuilder({ page });
      // Dark differs in its colors alone.
      if (theme === "dark") axe.withRules("color-contrast");
      const { violations } = await axe.analyze();
      expect(
        violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
      ).toEqual([]);
    });

test("the wide window has columns", async ({ page }) => {
  await page.setViewportSize({ width: 880, height: 640 });
  await open(page, "main", "dark");
  await expect(page.locator(".list-cols")).toBeVisible();
  await page.screenshot({ path: "test-results/shots/main-wide-dark.png" });
});
