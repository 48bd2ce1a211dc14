// How tests open the page.
import { expect, test as base, type Page } from "@playwright/test";
import type { scenes } from "./scenes";

export type SceneName = keyof typeof scenes;
export type Theme = "light" | "dark";

/** Opens a scene and waits until it is drawn. */
export async function open(
  page: Page,
  scene: SceneName,
  theme: Theme = "light",
) {
  await page.goto(`/tests/index.html?scene=${scene}&theme=${theme}`);
  await expect(page.locator("html")).toHaveAttribute("lang", /^en/);
  if (scene !== "loading")
    await expect.poll(() => calls(page, "drawn")).toHaveLength(1);
}

/** Opens ten thousand shares and waits until all are listed. */
export async function openMany(page: Page) {
  await open(page, "many");
  await expect(page.locator("li").first()).toHaveAttribute(
    "aria-setsize",
    "10000",
  );
}

/** What the page asked a command for. */
export const calls = (page: Page, cmd: string) =>
  page.evaluate(
    (cmd) =>
      (window.calls ?? [])
        .filter((call) => call.cmd === cmd)
        .map(({ args }) => args),
    cmd,
  );

export const row = (page: Page, name: string) =>
  page.locator(".row", { has: page.getByTitle(name, { exact: true }) });

/** The test, failing when the page says something on its console; a breach of its policy is said there too. */
export const test = base.extend<{ quiet: void }>({
  quiet: [
    async ({ page }, use) => {
      const said: string[] = [];
      page.on("console", (message) => {
        if (["error", "warning"].includes(message.type()))
          said.push(message.text());
      });
      page.on("pageerror", (error) => said.push(String(error)));
      await use();
      expect(said).toEqual([]);
    },
    { auto: true },
  ],
});
export { expect };
