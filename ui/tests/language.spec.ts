// Another language, whose words are longer by 40 %: nothing is cut, nothing overlaps, no word is left out.
import type { Page } from "@playwright/test";
import { calls, expect, row, test } from "./page";
import { fits } from "./walk";

const LEASE =
  "Hartmann-lease-agreement_signed_v3-final-corrected-by-legal-department-2026-03.pdf";

async function open(page: Page, scene: string) {
  await page.goto(`/tests/index.html?scene=${scene}&theme=light&long=1`);
  await expect.poll(() => calls(page, "drawn")).toHaveLength(1);
}

/** Texts that may end in an ellipsis: names, and what stands behind the first words of a row. */
const MAY_BE_CUT =
  ".name, .row--ended .chip-words, .row-note, .row-size, .input, .switcher-name, .foot-name, .bar-title, .visually-hidden, svg, option";

async function holds(page: Page, name: string) {
  await page.evaluate(async () => {
    await Promise.allSettled(
      document
        .getAnimations()
        .filter(
          ({ effect }) => effect?.getComputedTiming().iterations !== Infinity,
        )
        .map((one) => one.finished),
    );
  });
  await fits(page, `long-${name}`);
  const { cut, overlap, foreign } = await page.evaluate((mayBeCut) => {
    const shown = [...document.querySelectorAll<HTMLElement>(".window *")]
      .filter((one) => !one.closest(mayBeCut))
      .filter((one) => one.getClientRects().length > 0);
    const say = (one: HTMLElement) =>
      `${one.className}: ${one.textContent.trim().slice(0, 60)}`;
    const clips = (one: HTMLElement) =>
      ["hidden", "clip"].includes(getComputedStyle(one).overflowX);
    const own = (one: HTMLElement) =>
      [...one.childNodes].some(
        (node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim(),
      );
    const top = document.querySelector("dialog[open]") ?? document;
    const controls = shown.filter(
      (one) =>
        one.matches("button, input, select, a") &&
        !one.matches(".row-name") &&
        top.contains(one),
    );
    const meets = (a: DOMRect, b: DOMRect) =>
      Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
      Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
    return {
      // Text that is wider than what holds it, or than what clips it.
      cut: shown
        .filter(own)
        .filter((one) => {
          if (one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0)
            return true;
          const { left, right } = one.getBoundingClientRect();
          for (
            let around = one.parentElement;
            around && !around.matches(".window");
            around = around.parentElement
          ) {
            const frame = around.getBoundingClientRect();
            if (
              clips(around) &&
              (right > frame.right + 1 || left < frame.left - 1)
            )
              return true;
          }
          return false;
        })
        .map(say),
      overlap: controls.flatMap((one, at) =>
        controls
          .slice(at + 1)
          .filter(
            (other) =>
              !one.contains(other) &&
              !other.contains(one) &&
              !one.closest(".input-group, .segments, .segmented") &&
              one.closest(".body, .foot, .toast, .bar") ===
                other.closest(".body, .foot, .toast, .bar") &&
              meets(one.getBoundingClientRect(), other.getBoundingClientRect()),
          )
          .map((other) => `${say(one)} | ${say(other)}`),
      ),
      // A button whose words aren't the catalogue's.
      foreign: controls
        .filter(
          (one) =>
            one.matches("button") &&
            /\p{L}{3}/u.test(one.textContent) &&
            !one.textContent.includes("[") &&
            !one.matches(".switcher"),
        )
        .map(say),
    };
  }, MAY_BE_CUT);
  expect({ name, cut, overlap, foreign }).toEqual({
    name,
    cut: [],
    overlap: [],
    foreign: [],
  });
}

const settings = (page: Page) =>
  page.evaluate(() =>
    window.fake.change({ is: "open", screen: "settings", id: null }),
  );

test("the list and its sheets hold longer words", async ({ page }) => {
  test.slow();
  for (const scene of ["empty", "main", "local", "copied", "not-shared"]) {
    await open(page, scene);
    await holds(page, scene);
  }
  await open(page, "quiet");
  await row(page, LEASE).locator("[data-slot=more]").click();
  await holds(page, "menu");
  for (const about of ["qr", "extend", "revoke"]) {
    await open(page, "quiet");
    await row(page, LEASE).locator("[data-slot=more]").click();
    await page
      .getByRole("menuitem")
      .nth({ qr: 0, extend: 2, revoke: 6 }[about]!)
      .click();
    await expect(page.getByRole("dialog")).toBeVisible();
    await holds(page, about);
  }
  await open(page, "quiet");
  await row(page, LEASE).locator(".row-name").click();
  await holds(page, "detail");
});

test("settings, storage and the keychain hold longer words", async ({
  page,
}) => {
  test.slow();
  await open(page, "quiet");
  await settings(page);
  await holds(page, "settings");
  await page.getByRole("button", { name: /\[Manage/ }).click();
  await holds(page, "storages");
  await page.getByRole("button", { name: /Studio share/ }).click();
  await holds(page, "storage");
  await page.getByRole("button", { name: /\[Remove/ }).click();
  await holds(page, "remove");
  await open(page, "main");
  await page.evaluate(() =>
    window.fake.change({
      is: "quit_asked",
      uploads: 2,
      waiting: 1,
      local_links: 3,
      can_keep: true,
    }),
  );
  await holds(page, "quit");
  await open(page, "locked");
  await holds(page, "locked");
});

test("set-up holds longer words", async ({ page }) => {
  test.slow();
  await open(page, "setup");
  await page.getByRole("button", { name: /\[Reach/ }).click();
  await holds(page, "setup");
  await page.getByText("Cloudflare R2").click();
  await page.getByRole("button", { name: /\[Continue/ }).click();
  await holds(page, "setup-form");
  await page.getByRole("button", { name: /\[Check/ }).click();
  await holds(page, "setup-form-wrong");
});
