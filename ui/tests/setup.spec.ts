import type { Page } from "@playwright/test";
import { calls, expect, open, test, type Theme } from "./page";
import { fail, fits, look, openSetup, openStorages } from "./walk";

const SECRET = "correct-horse-battery-staple-00";
const field = (page: Page, name: string) =>
  page.getByLabel(name, { exact: true });
const press = (page: Page, name: string | RegExp) =>
  // The last: where the bar has Back too, the one at the end of the form is meant.
  page.getByRole("button", { name, exact: true }).last().click();

/** Goes to the form of Cloudflare R2. */
async function openForm(page: Page, theme?: Theme) {
  await openSetup(page, "setup", theme);
  await page.getByRole("radio", { name: /Cloudflare R2/ }).check();
  await press(page, "Continue");
}
async function fill(page: Page) {
  await field(page, "Endpoint").fill(
    "https://4f1c09a2.r2.cloudflarestorage.com",
  );
  await field(page, "Bucket").fill("field-share");
  await field(page, "Access key").fill("7c0e5b19d2aa48f3");
  await field(page, "Secret").fill(SECRET);
}
const connect = (page: Page) => press(page, /Check connection|Save and check/);
const findings = (page: Page, verdicts: Record<string, "warn" | "fail">) =>
  page.evaluate((verdicts) => {
    for (const finding of window.fake.scene.findings)
      finding.verdict = verdicts[finding.name] ?? "pass";
  }, verdicts);

for (const theme of ["light", "dark"] as const) {
  test(`set-up is drawn, ${theme}`, async ({ page }) => {
    test.slow();
    await openSetup(page, "setup", theme);
    await page.getByRole("radio", { name: /Cloudflare R2/ }).check();
    await look(page, `setup-${theme}`);
    await press(page, "Continue");
    await connect(page);
    await expect(page.getByText("Enter the bucket’s name")).toBeVisible();
    await look(page, `setup-form-wrong-${theme}`);
    await fill(page);
    await expect(page.locator("[aria-invalid]")).toHaveCount(0);
    await look(page, `setup-form-${theme}`);
    await page.evaluate(() => (window.fake.scene.findingEvery = 300));
    await connect(page);
    await expect(page.getByText("Trying…")).toBeVisible();
    await page.screenshot({
      path: `test-results/pictures/setup-checking-${theme}.png`,
    });
    await expect(page.getByText("field-share is ready to use.")).toBeVisible();
    await look(page, `setup-check-${theme}`);
  });

  test(`the keychain's screens are drawn, ${theme}`, async ({ page }) => {
    test.slow();
    for (const scene of [
      "locked",
      "keychain-absent",
      "keychain-failed",
    ] as const) {
      await open(page, scene, theme);
      await look(page, `${scene}-${theme}`);
    }
    await press(page, /Use a passphrase file/);
    await press(page, "Create the file");
    await look(page, `passphrase-${theme}`);
  });

  test(`the store on this computer is drawn, ${theme}`, async ({ page }) => {
    await openSetup(page, "setup", theme);
    await page.getByRole("radio", { name: /On this computer/ }).check();
    await press(page, "Continue");
    await page.getByRole("radio", { name: /local network/ }).check();
    await look(page, `setup-local-${theme}`);
  });
}

test("a storage is set up by keyboard alone", async ({ page }) => {
  await openSetup(page, "setup");
  const key = page.keyboard;
  // The title has the focus; the chosen card comes next.
  await key.press("Tab");
  await expect(page.getByRole("radio", { name: /Amazon S3/ })).toBeFocused();
  await key.press("ArrowDown");
  await key.press("Enter");
  await expect(page.getByText("Step 2 of 3")).toBeVisible();
  await key.press("Tab");
  await key.type("https://4f1c09a2.r2.cloudflarestorage.com");
  await key.press("Tab");
  await expect(field(page, "Region")).toBeFocused();
  await key.press("Tab");
  await key.type("field-share");
  await key.press("Tab");
  await expect(field(page, "Sign in with")).toBeFocused();
  await key.press("Tab");
  await key.type("7c0e5b19d2aa48f3");
  await key.press("Tab");
  await key.type(SECRET);
  await key.press("Enter");
  await expect(page.getByText("field-share is ready to use.")).toBeVisible();
  await page.getByRole("heading", { name: "Connection check" }).focus();
  for (let tab = 0; tab < 3; tab += 1) await key.press("Tab");
  await expect(
    page.getByRole("button", { name: "Use this storage" }),
  ).toBeFocused();
  await key.press("Enter");
  await expect
    .poll(() => calls(page, "use_profile"))
    .toEqual([{ name: "field-share" }]);
  expect(await calls(page, "add_profile")).toEqual([
    {
      createBucket: false,
      secret: SECRET,
      draft: {
        name: "field-share",
        provider: "r2",
        endpoint: "https://4f1c09a2.r2.cloudflarestorage.com",
        region: "auto",
        bucket: "field-share",
        prefix: null,
        path_style: null,
        sign_in: { by: "access_key", id: "7c0e5b19d2aa48f3" },
        clean_up: "7d",
      },
    },
  ]);
});

test("the check is told line by line, and the secret is gone from the page", async ({
  page,
}) => {
  await openForm(page);
  await fill(page);
  await page.evaluate(() => (window.fake.scene.findingEvery = 200));
  await connect(page);
  const lines = page.locator(".cap:not(.cap--now)");
  await expect(page.locator(".cap--now")).toContainText("Trying…");
  const first = await lines.count();
  expect(first).toBeLessThan(12);
  await expect.poll(() => lines.count()).toBeGreaterThan(first);
  await expect(
    page.getByRole("button", { name: "Use this storage" }),
  ).toBeDisabled();
  await expect(
    page.getByText("All that Lapse needs works here."),
  ).toBeVisible();
  await expect(page.locator(".cap--now")).toHaveCount(0);
  await expect(lines).toHaveCount(12);

  const holds = (text: string) =>
    page.evaluate(
      (text) =>
        document.documentElement.outerHTML.includes(text) ||
        [...document.querySelectorAll("input")].some(({ value }) =>
          value.includes(text),
        ),
      text,
    );
  expect(await holds(SECRET)).toBe(false);
  await press(page, "Back");
  await expect(field(page, "Secret")).toHaveValue("");
  await expect(field(page, "Bucket")).toHaveValue("field-share");
  expect(await holds(SECRET)).toBe(false);
  // The profile is there by now: it is changed, not added again, and keeps its secret.
  await connect(page);
  await expect
    .poll(() => calls(page, "edit_profile"))
    .toMatchObject([{ name: "field-share", secret: null }]);
  expect(await calls(page, "add_profile")).toHaveLength(1);
});

test("each field says what to do, and a wrong address is put right", async ({
  page,
}) => {
  await openForm(page);
  await fill(page);
  await field(page, "Endpoint").fill("htp://example");
  await connect(page);
  await expect(field(page, "Endpoint")).toBeFocused();
  await expect(field(page, "Endpoint")).toHaveAttribute("aria-invalid", "true");
  await expect(field(page, "Endpoint")).toHaveAccessibleDescription(
    /Start the address with https:\/\//,
  );
  expect(await calls(page, "add_profile")).toEqual([]);
  await field(page, "Endpoint").fill("https://s3.example.com");
  await expect(page.getByText("Start the address with")).toBeHidden();
});

test("what the shell refuses stands at its field", async ({ page }) => {
  await openForm(page);
  await fill(page);
  for (const [code, name, fix] of [
    ["sign_in", "Secret", "Copy key and secret once more"],
    ["unreachable", "Endpoint", "Check it letter by letter"],
    ["not_s3", "Endpoint", "not that of its web page"],
    ["certificate", "Endpoint", "a certificate that this computer trusts"],
    ["wrong_region", "Region", "Do what helps."],
    ["access_denied", "Access key", "the right to read and write"],
    ["profile_exists", "Name in Lapse", "Do what helps."],
  ] as const) {
    await fail(page, "add_profile", code, `this is ${code}`);
    await connect(page);
    await expect(field(page, name)).toBeFocused();
    await expect(field(page, name)).toHaveAccessibleDescription(
      new RegExp(`This is ${code}\\. .*${fix}`),
    );
    await expect(page.locator("[aria-invalid='true']")).toHaveCount(1);
  }
  await expect(field(page, "Secret")).toHaveValue(SECRET);
  await fail(page, "add_profile", "storage", "the storage gave up");
  await connect(page);
  await expect(page.getByRole("alert")).toContainText(
    "The storage gave up. Do what helps.",
  );
  await expect(page.locator("[aria-invalid='true']")).toHaveCount(0);
});

test("while a refusal stands, the focus stays where the person types", async ({
  page,
}) => {
  await openForm(page);
  await fill(page);
  await fail(page, "add_profile", "sign_in", "the secret is another one");
  await connect(page);
  await expect(field(page, "Secret")).toBeFocused();
  await field(page, "Access key").focus();
  await page.keyboard.press("End");
  await page.keyboard.type("42");
  await expect(field(page, "Access key")).toBeFocused();
  await expect(field(page, "Access key")).toHaveValue("7c0e5b19d2aa48f342");
  await expect(field(page, "Secret")).toHaveValue(SECRET);
  await expect(field(page, "Secret")).toHaveAttribute("aria-invalid", "true");
});

test("a bucket that isn't there is made when the person says so", async ({
  page,
}) => {
  await openForm(page);
  await fill(page);
  await fail(
    page,
    "add_profile",
    "no_such_bucket",
    "«field-share» isn't there",
  );
  await connect(page);
  await expect(field(page, "Bucket")).toHaveAttribute("aria-invalid", "true");
  await press(page, "Create it");
  await expect(page.getByText("field-share is ready to use.")).toBeVisible();
  expect(
    (await calls(page, "add_profile")).map(({ createBucket }) => createBucket),
  ).toEqual([false, true]);
});

test("a region makes the address, and AWS profiles sign in by name", async ({
  page,
}) => {
  await openSetup(page, "setup");
  await expect(page.getByRole("radio", { name: /Amazon S3/ })).toBeVisible();
  await expect(page.getByText(/AWS profiles default and studio/)).toBeVisible();
  await press(page, "Continue");
  await expect(page.getByText(/^Address:/)).toBeHidden();
  await field(page, "Region").fill("eu-central-1");
  await expect(
    page.getByText("Address: https://s3.eu-central-1.amazonaws.com"),
  ).toBeVisible();
  await field(page, "Bucket").fill("studio-files");
  await field(page, "Sign in with").selectOption("AWS profile studio");
  await expect(field(page, "Access key")).toBeHidden();
  await expect(
    page.getByText("Secrets go to your system keychain"),
  ).toBeHidden();
  await page.getByText("Advanced").click();
  await field(page, "Folder in the bucket").fill("shared/lapse");
  await page.getByRole("switch").check();
  await field(page, "Delete uploaded files").selectOption("Never");
  await connect(page);
  await expect
    .poll(() => calls(page, "add_profile"))
    .toEqual([
      {
        createBucket: false,
        secret: null,
        draft: {
          name: "studio-files",
          provider: "aws",
          endpoint: null,
          region: "eu-central-1",
          bucket: "studio-files",
          prefix: "shared/lapse",
          path_style: true,
          sign_in: { by: "aws_profile", name: "studio" },
          clean_up: "never",
        },
      },
    ]);
});

test("a pasted secret loses its blanks, and a button shows it", async ({
  page,
}) => {
  await openForm(page);
  const secret = field(page, "Secret");
  await secret.evaluate((input) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", "  s3cret\n");
    input.dispatchEvent(
      new ClipboardEvent("paste", { clipboardData, cancelable: true }),
    );
  });
  await expect(secret).toHaveValue("s3cret");
  await expect(secret).toHaveAttribute("type", "password");
  await press(page, "Show secret");
  await expect(secret).toHaveAttribute("type", "text");
});

test("a check says whether a storage can be used", async ({ page }) => {
  await openForm(page);
  await fill(page);
  await page.evaluate(() => (window.fake.scene.findingEvery = 1));
  await findings(page, { private: "fail" });
  await connect(page);
  await expect(page.getByRole("status").first()).toContainText(
    "field-share can’t be used like this. One thing failed.",
  );
  await expect(page.getByRole("button", { name: /^Use/ })).toHaveCount(0);
  await findings(page, { link_ends: "warn" });
  await press(page, "Check again");
  await expect(
    page.getByRole("button", { name: "Use it anyway" }),
  ).toBeVisible();
  await press(page, "Back");
  await findings(page, {});
  await connect(page);
  await expect(
    page.getByText("All that Lapse needs works here."),
  ).toBeVisible();
  await press(page, "Back");
  await fail(page, "check_profile", "unreachable", "nothing answered");
  await connect(page);
  await expect(page.getByText("Nothing answered.")).toBeVisible();
});

test("the store on this computer listens where it is told to", async ({
  page,
}) => {
  await openSetup(page, "setup");
  await page.evaluate(() =>
    window.fake.scene.store.interfaces.push({
      name: "eth0",
      address: "10.0.0.7",
    }),
  );
  await page.getByRole("radio", { name: /On this computer/ }).check();
  await press(page, "Continue");
  await page.getByRole("radio", { name: /local network/ }).check();
  await expect(page.getByText("Files travel unencrypted")).toBeVisible();
  await field(page, "Network").selectOption("eth0 · 10.0.0.7");
  await press(page, "Use this computer");
  await expect
    .poll(() => calls(page, "use_profile"))
    .toEqual([{ name: "local" }]);
  expect(await calls(page, "listen_in")).toEqual([
    { networkInterface: "eth0" },
  ]);
});

test("without a network the store stays on this computer", async ({ page }) => {
  await openSetup(page, "setup");
  await page.evaluate(() => (window.fake.scene.store.interfaces = []));
  await page.getByRole("radio", { name: /On this computer/ }).check();
  await press(page, "Continue");
  await expect(
    page.getByRole("radio", { name: /local network/ }),
  ).toBeDisabled();
  await expect(page.getByText("No local network is there now.")).toBeVisible();
});

test("a profile is changed, and keeps a secret that isn't entered", async ({
  page,
}) => {
  await openStorages(page, "quiet");
  await press(page, /Studio share/);
  await press(page, "Change…");
  await expect(field(page, "Bucket")).toHaveValue("studio-share");
  await expect(field(page, "Access key")).toHaveValue("AKIAEXAMPLE7");
  await expect(field(page, "Secret")).toHaveValue("");
  await expect(field(page, "Name in Lapse")).not.toBeEditable();
  await field(page, "Delete uploaded files").selectOption("Never");
  await connect(page);
  await expect
    .poll(() => calls(page, "edit_profile"))
    .toMatchObject([
      { name: "Studio share", secret: null, draft: { clean_up: "never" } },
    ]);
  await press(page, "Back");
  // Another key has another secret.
  await field(page, "Access key").fill("AKIAOTHER");
  await connect(page);
  await expect(page.getByText("Enter the secret that belongs")).toBeVisible();
});

test("a locked keychain opens, or says that it stays locked", async ({
  page,
}) => {
  await open(page, "locked");
  await page.evaluate(() => {
    window.fake.fail("unlock_keychain", {
      code: "keychain_locked",
      message: "the prompt was dismissed",
      hint: "Unlock it, then try again",
    });
  });
  await press(page, "Unlock keychain");
  await expect(page.getByRole("status").first()).toContainText(
    "The keychain is still locked.",
  );
  await press(page, "Unlock keychain");
  await expect(
    page.getByRole("heading", { name: "Your keychain is locked" }),
  ).toBeHidden();
  expect(await calls(page, "unlock_keychain")).toHaveLength(2);
});

test("keys are kept for this session, and are asked for at once", async ({
  page,
}) => {
  await open(page, "keychain-absent");
  await page.evaluate(() => (window.fake.scene.keychain.profiles = 0));
  await press(page, /Keep keys for this session only/);
  await expect(
    page.getByRole("heading", { name: "Change Studio share" }),
  ).toBeVisible();
  await expect(
    page.getByText("Secrets stay in memory until Lapse ends."),
  ).toBeVisible();
  await connect(page);
  await expect(field(page, "Secret")).toBeFocused();
  expect(await calls(page, "keep_keys_for_this_run")).toHaveLength(1);
  expect(await calls(page, "edit_profile")).toEqual([]);
});

test("a new passphrase is asked for twice", async ({ page }) => {
  await open(page, "locked");
  await press(page, /Use a passphrase file/);
  await field(page, "Passphrase").fill("short");
  await press(page, "Create the file");
  await expect(page.getByText("Use at least 8 letters")).toBeVisible();
  await field(page, "Passphrase").fill("four words and more");
  await field(page, "Once more").fill("four words or more");
  await press(page, "Create the file");
  await expect(field(page, "Once more")).toBeFocused();
  await expect(page.getByText("Both must be the same")).toBeVisible();
  expect(await calls(page, "use_passphrase_file")).toEqual([]);
  await field(page, "Once more").fill("four words and more");
  await press(page, "Create the file");
  await expect
    .poll(() => calls(page, "use_passphrase_file"))
    .toEqual([{ passphrase: "four words and more" }]);
});

test("a passphrase file that is there asks once, and tells a wrong passphrase", async ({
  page,
}) => {
  await open(page, "keychain-file");
  await press(page, /Use a passphrase file/);
  await expect(field(page, "Once more")).toBeHidden();
  await field(page, "Passphrase").fill("wrong");
  await fail(
    page,
    "use_passphrase_file",
    "passphrase",
    "this passphrase doesn't open it",
  );
  await press(page, "Open");
  await expect(field(page, "Passphrase")).toBeFocused();
  await expect(field(page, "Passphrase")).toHaveAccessibleDescription(
    /This passphrase doesn't open it/,
  );
  await press(page, "Open");
  await expect(
    page.getByRole("heading", { name: "Open the passphrase file" }),
  ).toBeHidden();
});

test("a keychain that locks in the middle doesn't lose the form", async ({
  page,
}) => {
  await openForm(page);
  await fill(page);
  await field(page, "Name in Lapse").fill("Work");
  await fail(page, "add_profile", "keychain_locked", "the keychain is locked");
  await connect(page);
  await expect(page.getByRole("alert")).toContainText(
    "The keychain is locked.",
  );
  await page.evaluate(() => {
    const { scene } = window.fake;
    scene.keychain = { ...scene.keychain, state: "locked" };
  });
  await press(page, "Keychain…");
  await press(page, "Unlock keychain");
  await expect(field(page, "Secret")).toHaveValue(SECRET);
  await expect(field(page, "Name in Lapse")).toHaveValue("Work");
  await connect(page);
  await expect(page.getByText("Work is ready to use.")).toBeVisible();
});

test("who signs in by the AWS tools is told how to sign in again", async ({
  page,
}) => {
  await openSetup(page, "setup");
  await press(page, "Continue");
  await field(page, "Region").fill("eu-central-1");
  await field(page, "Bucket").fill("files");
  await field(page, "Sign in with").selectOption("AWS profile studio");
  await page.evaluate(() =>
    window.fake.fail("add_profile", {
      code: "sign_in",
      message: "the AWS profile «studio» is signed out",
      hint: "Sign in with «aws sso login» in a terminal, then try again.",
    }),
  );
  await connect(page);
  await expect(page.locator("form")).toContainText("aws sso login");
  await expect(page.locator("form")).not.toContainText("Copy key and secret");
});

test("providers that can't be asked for are asked for again", async ({
  page,
}) => {
  await openStorages(page, "setup");
  await fail(page, "providers", "internal", "the shell is busy");
  await press(page, "Add storage");
  await expect(page.getByRole("alert")).toContainText("The shell is busy.");
  await press(page, "Try again");
  await expect(page.getByText("Step 1 of 3")).toBeVisible();
});

test("set-up fits a window at 200 % zoom", async ({ page }) => {
  await page.setViewportSize({ width: 210, height: 320 });
  await openSetup(page, "setup");
  await page.getByRole("radio", { name: /Cloudflare R2/ }).check();
  await fits(page, "setup");
  await press(page, "Continue");
  await connect(page);
  await fits(page, "setup-form");
  await fill(page);
  await connect(page);
  await expect(page.getByText("field-share is ready to use.")).toBeVisible();
  await fits(page, "setup-check");
  await open(page, "locked");
  await fits(page, "locked");
  await press(page, /Use a passphrase file/);
  await fits(page, "passphrase");
});

test("set-up offers a key that only signs, made by a sign-in that isn't kept", async ({
  page,
}) => {
  await openSetup(page, "setup");
  await press(page, "Continue");
  await field(page, "Region").fill("eu-central-1");
  await field(page, "Bucket").fill("studio-files");
  await field(page, "Access key").fill("AKIAEXAMPLE9");
  await field(page, "Secret").fill(SECRET);
  await connect(page);
  await expect(page.getByText("studio-files is ready to use.")).toBeVisible();
  await press(page, "Key of its own…");
  await look(page, "signer-light");
  const make = page.getByRole("button", { name: "Make the key" });
  await expect(make).toBeDisabled();
  await field(page, "Access key of an administrator").fill("AKIAADMIN");
  await field(page, "Secret").fill(` ${SECRET} `);
  await fail(page, "create_signer", "access_denied", "It may not make users.");
  await make.click();
  await expect(page.getByRole("alert")).toContainText("may not make users");
  await expect(field(page, "Secret")).toHaveValue("");
  await field(page, "Sign in with").selectOption("AWS profile studio");
  await make.click();
  await expect(page.getByText("AKIAEXAMPLE8 signs links")).toBeVisible();
  await expect(page.getByText("Let Lapse sign")).toHaveCount(0);
  expect(await calls(page, "create_signer")).toEqual([
    {
      profile: "studio-files",
      admin: { by: "key", access_key: "AKIAADMIN", secret: SECRET },
    },
    {
      profile: "studio-files",
      admin: { by: "aws_profile", name: "studio" },
    },
  ]);
});

test("a Garage's key is made by its admin token", async ({ page }) => {
  await openSetup(page, "setup");
  await page.getByRole("radio", { name: "Garage" }).check();
  await press(page, "Continue");
  await field(page, "Endpoint").fill("http://127.0.0.1:3900");
  await field(page, "Bucket").fill("field-share");
  await field(page, "Access key").fill("GK1234");
  await field(page, "Secret").fill(SECRET);
  await connect(page);
  await press(page, "Key of its own…");
  await field(page, "Address of the admin API").fill("http://127.0.0.1:3903");
  await field(page, "Admin token").fill("token");
  await press(page, "Make the key");
  await expect
    .poll(() => calls(page, "create_signer"))
    .toEqual([
      {
        profile: "field-share",
        admin: {
          by: "token",
          endpoint: "http://127.0.0.1:3903",
          token: "token",
        },
      },
    ]);
});
