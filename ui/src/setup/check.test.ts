// @vitest-environment happy-dom
import { beforeEach, expect, test, vi } from "vitest";
import type { Finding } from "../bindings";
import { Check } from "./check.svelte";

type Asked = {
  name: string;
  found: (finding: Finding) => void;
  end: (findings: Finding[]) => void;
  fail: (error: unknown) => void;
};
const asked = vi.hoisted(() => [] as Asked[]);
vi.mock("../ipc", async (original) => ({
  ...(await original<object>()),
  checkProfile: (name: string, found: Asked["found"]) =>
    new Promise<Finding[]>((end, fail) =>
      asked.push({ name, found, end, fail }),
    ),
}));

const line = (name: string, text: string): Finding => ({
  name,
  verdict: "pass",
  text,
});

beforeEach(() => void asked.splice(0));

test("what an earlier check says isn't shown as the later one's", async () => {
  const check = new Check();
  const first = check.run("one");
  asked[0]!.found(line("write", "first"));
  const second = check.run("two");
  asked[1]!.found(line("write", "second"));
  asked[0]!.found(line("read", "first"));
  expect(check.findings.map(({ text }) => text)).toEqual(["second"]);

  asked[0]!.end([line("write", "first"), line("read", "first")]);
  await first;
  expect(check.running).toBe(true);
  expect(check.findings.map(({ text }) => text)).toEqual(["second"]);

  asked[1]!.end([line("write", "second"), line("read", "second")]);
  await second;
  expect(check.running).toBe(false);
  asked[1]!.found(line("write", "late"));
  expect(check.findings.map(({ text }) => text)).toEqual(["second", "second"]);
});

test("an earlier check that fails doesn't end the later one", async () => {
  const check = new Check();
  const first = check.run("one");
  const second = check.run("two");
  asked[0]!.fail({ code: "unreachable", message: "nothing", hint: "" });
  await first;
  expect(check.failure).toBeUndefined();
  expect(check.running).toBe(true);
  asked[1]!.end([line("write", "second")]);
  await second;
});

test("a line that is told twice stands once", () => {
  const check = new Check();
  void check.run("one");
  asked[0]!.found(line("write", "so"));
  asked[0]!.found(line("write", "otherwise"));
  expect(check.findings.map(({ text }) => text)).toEqual(["otherwise"]);
});
