import { svelte } from "@sveltejs/vite-plugin-svelte";
import { svelteTesting } from "@testing-library/svelte/vite";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [svelte(), svelteTesting()],
  server: { host: "127.0.0.1", port: 41730, strictPort: true },
  // The web view of Debian 12 and macOS 13.
  build: { target: "safari16", modulePreload: { polyfill: false } },
  test: { include: ["src/**/*.test.ts"] },
});
