// Ways through the window that several specs go.
import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, open, row, type SceneName, type Theme } from "./page";

export const LEASE =
  "Hartmann-lease-agreement_signed_v3-final-corrected-by-legal-department-2026-03.pdf";

export async function openSettings(
  page: Page,
  scene: SceneName,
  theme?: Theme,
) {
  await open(page, scene, theme);
  await page.evaluate(() =>
    window.fake.change({ is: "open", screen: "settings", id: null }),
  );
  await expect(page.getByRole("heading", { name: "Settings" })).toBeVisible();
}

export async function openStorages(
  page: Page,
  scene: SceneName,
  theme?: Theme,
) {
  await openSettings(page, scene, theme);
  await page.getByRole("button", { name: "Manage…" }).click();
}

export async function openSetup(page: Page, scene: SceneName, theme?: Theme) {
  await openStorages(page, scene, theme);
  await page.getByRole("button", { name: "Add storage" }).click();
  await expect(page.getByText("Step 1 of 3")).toBeVisible();
}

export const fail = (page: Page, cmd: string, code: string, message: string) =>
  page.evaluate(
    ([cmd, code, message]) =>
      window.fake.fail(cmd, { code, message, hint: "Do what helps" }),
    [cmd, code, message] as const,
  );

export async function openRevokeAll(page: Page) {
  await page.getByRole("button", { name: "Revoke all…" }).click();
  await expect(
    page.getByText(/by (rotating the key|ending sessions)/),
  ).toBeVisible();
}

/** Chooses what is kept, and presses the button twice from the keyboard. */
export async function revokeAll(page: Page, keep: string[] = []) {
  await openRevokeAll(page);
  for (const name of keep) {
    const box = page.getByRole("checkbox", { name });
    // By the keyboard: the list may scroll under a pointer.
    await box.press("Space");
    await expect(box).toBeChecked();
  }
  await pressHold(page);
}

async function pressHold(page: Page) {
  const button = page.getByRole("button", { name: /Hold to revoke/ });
  await button.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: /Press again/ }).press("Enter");
}

/** The same with a key that the person made. */
export async function revokeAllByHand(page: Page) {
  await openRevokeAll(page);
  await page.getByLabel("New access key").fill("AKIAEXAMPLE9");
  await page.getByLabel("Its secret").fill("a secret");
  await pressHold(page);
}

/** Takes a picture of what is drawn, and lets axe look at it. */
export async function look(page: Page, name: string) {
  await page.evaluate(async () => {
    // A dialog is drawn when it has risen.
    await Promise.allSettled(
      document
        .getAnimations()
        .filter(
          ({ effect }) => effect?.getComputedTiming().iterations !== Infinity,
        )
        .map((one) => one.finished),
    );
  });
  await page.screenshot({ path: `test-results/pictures/${name}.png` });
  const axe = new AxeBuilder({ page });
  // Dark differs in its colors alone.
  if (name.endsWith("-dark")) axe.withRules("color-contrast");
  const { violations } = await axe.analyze();
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual(
    [],
  );
}

/** Fails when something doesn't fit the window from side to side. A title may be cut: it ends in an ellipsis. */
export async function fits(page: Page, name: string) {
  await page.screenshot({ path: `test-results/pictures/${name}-200.png` });
  expect(
    await page.evaluate(() =>
      [...document.querySelectorAll(".window *")]
        .filter((one) => !one.closest(".visually-hidden, svg, .bar-title"))
        .filter((one) => {
          const { left, right, width } = one.getBoundingClientRect();
          return width > 0 && (right > innerWidth + 1 || left < -1);
        })
        .map((one) => one.outerHTML.slice(0, 120)),
    ),
  ).toEqual([]);
}

/** Chooses something of what can be done with the lease. */
export const more = async (page: Page, item: string) => {
  await row(page, LEASE)
    .getByRole("button", { name: /More actions/ })
    .click();
  await page.getByRole("menuitem", { name: item }).click();
};
