import { describe, expect, test } from "vitest";
import type { Provider } from "../bindings";
import {
  addressOf,
  check,
  draftOf,
  fieldOf,
  filled,
  fresh,
  suggestName,
  type Form,
} from "./form";

const provider = (more: Partial<Provider> = {}): Provider => ({
  id: "other",
  name: "Other S3 storage",
  endpoint: null,
  region: null,
  path_style: true,
  post_form: true,
  rotation: "by_hand",
  ...more,
});
const AWS = provider({
  id: "aws",
  endpoint: "https://s3.{region}.amazonaws.com",
  path_style: false,
});
const whole = (more: Partial<Form> = {}): Form => ({
  ...fresh(provider(), []),
  name: "work",
  endpoint: "https://s3.example.com",
  region: "eu-1",
  bucket: "files",
  key: "AKIA7",
  secret: "s3cret",
  ...more,
});
const about = { taken: ["studio"], nameIsFixed: false, secretIsKept: false };
const wrong = (more: Partial<Form>, of = provider()) =>
  check(whole(more), of, about);

describe("the form of a storage", () => {
  test("takes what is filled in right", () => {
    expect(wrong({})).toEqual({});
    expect(wrong({ endpoint: "http://[::1]:9000/" })).toEqual({});
    expect(wrong({ prefix: "/shared/lapse/" })).toEqual({});
    expect(wrong({ bucket: " files " })).toEqual({});
  });

  test.each([
    ["", "no_endpoint"],
    ["s3.example.com", "endpoint_scheme"],
    ["htp://example", "endpoint_scheme"],
    ["https://", "endpoint"],
    ["https://a..b", "endpoint"],
    ["https://u:p@s3.example.com", "endpoint_user"],
    ["https://s3.example.com/files", "endpoint_path"],
    ["https://s3.example.com?x", "endpoint_path"],
    ["https://s3.example.com:99999", "endpoint"],
  ])("says what is wrong with the address “%s”", (endpoint, expected) => {
    expect(wrong({ endpoint })).toEqual({ endpoint: expected });
  });

  test("needs no address where the region gives one", () => {
    expect(wrong({ endpoint: "" }, AWS)).toEqual({});
    expect(addressOf(AWS, " eu-central-1 ")).toBe(
      "https://s3.eu-central-1.amazonaws.com",
    );
    expect(wrong({ endpoint: "", region: "" }, AWS)).toEqual({
      region: "no_region",
    });
    expect(wrong({ region: "" })).toEqual({});
  });

  test.each([
    ["", "no_bucket"],
    ["ab", "bucket_short"],
    ["s3://files", "bucket_address"],
    ["files/a", "bucket_address"],
    ["a..b", "bucket"],
    ["-files", "bucket"],
    ["my files", "bucket"],
  ])("says what is wrong with the bucket “%s”", (bucket, expected) => {
    expect(wrong({ bucket })).toEqual({ bucket: expected });
  });

  test("says what is wrong with name, key, secret and folder", () => {
    expect(wrong({ name: "" })).toEqual({ name: "no_name" });
    expect(wrong({ name: "local" })).toEqual({ name: "name_taken" });
    expect(wrong({ name: "studio" })).toEqual({ name: "name_taken" });
    expect(wrong({ name: "a b" })).toEqual({ name: "name" });
    expect(wrong({ key: "A/B" })).toEqual({ key: "key" });
    expect(wrong({ secret: " " })).toEqual({ secret: "no_secret" });
    expect(wrong({ prefix: "a/../b" })).toEqual({ prefix: "prefix" });
  });

  test("asks for no key where AWS's files sign in, and for no secret that is kept", () => {
    expect(wrong({ by: "aws_default", key: "", secret: "" })).toEqual({});
    expect(wrong({ by: "aws_profile", key: "", secret: "" })).toEqual({
      aws_profile: "no_aws_profile",
    });
    expect(
      check(whole({ secret: "" }), provider(), {
        ...about,
        secretIsKept: true,
      }),
    ).toEqual({});
  });

  test("makes a draft without blanks and without the secret", () => {
    const draft = draftOf(
      whole({ bucket: " files ", key: " AKIA7 " }),
      provider(),
      false,
    );
    expect(draft).toEqual({
      name: "work",
      provider: "other",
      endpoint: "https://s3.example.com",
      region: "eu-1",
      bucket: "files",
      prefix: null,
      path_style: null,
      sign_in: { by: "access_key", id: "AKIA7" },
      clean_up: "7d",
    });
    expect(
      draftOf(whole({ path_style: false }), provider(), true),
    ).toMatchObject({ path_style: false });
    expect(filled(draft, provider())).toEqual(
      whole({ secret: "", aws_profile: "" }),
    );
  });

  test("lets an address that the region made follow the region", () => {
    const draft = {
      ...draftOf(whole(), AWS, false),
      endpoint: "https://s3.eu-1.amazonaws.com",
    };
    expect(filled(draft, AWS).endpoint).toBe("");
    expect(filled({ ...draft, region: "eu-2" }, AWS).endpoint).toBe(
      "https://s3.eu-1.amazonaws.com",
    );
  });

  test("suggests a free name from the bucket", () => {
    expect(suggestName("field-share", [])).toBe("field-share");
    expect(suggestName("field-share", ["field-share"])).toBe("field-share-2");
    expect(suggestName("local", [])).toBe("local-2");
    expect(suggestName("..a b/ö", [])).toBe("ab");
    expect(suggestName("", [])).toBe("");
  });

  test.each([
    ["sign_in", {}, "secret"],
    ["sign_in", { by: "aws_profile" }, "aws_profile"],
    ["access_denied", {}, "key"],
    ["no_such_bucket", {}, "bucket"],
    ["wrong_region", {}, "region"],
    ["unreachable", {}, "endpoint"],
    ["certificate", {}, "endpoint"],
    ["profile_exists", {}, "name"],
    ["keychain_locked", {}, undefined],
  ] as const)("shows %s at its field", (code, more, field) => {
    const failure = { code, message: "", hint: "" };
    expect(fieldOf(failure, whole(more), provider())).toBe(field);
  });

  test("shows an address that the region made at the region", () => {
    const failure = { code: "unreachable", message: "", hint: "" };
    expect(fieldOf(failure, whole({ endpoint: "" }), AWS)).toBe("region");
    expect(fieldOf(failure, whole(), AWS)).toBe("endpoint");
  });
});
