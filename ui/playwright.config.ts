import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  testMatch: "*.spec.ts",
  // Beside `test-results`, which holds the page and its pictures: Playwright empties this one at each start.
  outputDir: "test-results/failures",
  workers: 1,
  forbidOnly: !!process.env.CI,
  reporter: "list",
  use: {
    baseURL: `http://127.0.0.1:${process.env.E2E_PORT}`,
    viewport: { width: 420, height: 640 },
    trace: "retain-on-failure",
    launchOptions: {
      // Debian's: no browser is downloaded.
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      args: [
        "--no-sandbox", // needed as root
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
  },
  webServer: {
    // On a port that is free. What the server says of it is in the environment of the tests.
    command:
      "npx vite build --config vite.e2e.config.ts --logLevel warn && npx vite preview --config vite.e2e.config.ts --port 0",
    wait: { stdout: /127\.0\.0\.1:(?<e2e_port>\d+)/ },
  },
});
