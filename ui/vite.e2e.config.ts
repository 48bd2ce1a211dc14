import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// The page of the browser tests: the app as it is built, over the fake of the shell, under the app's own strict policy.
export default defineConfig({
  plugins: [svelte()],
  build: {
    target: "es2022",
    modulePreload: { polyfill: false },
    outDir: "test-results/site",
    rolldownOptions: { input: "tests/index.html" },
  },
  preview: {
    host: "127.0.0.1",
    headers: {
      "Content-Security-Policy":
        "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'",
    },
  },
});
