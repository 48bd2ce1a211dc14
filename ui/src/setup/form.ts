// The form of a storage: what its fields hold, what is wrong with them, and the draft that they make.
import type { Draft, Failure, Provider, SignIn } from "../bindings";
import type en from "../words/en.json";

/** The name of the profile that is always there. */
const LOCAL = "local";

export type Field =
  | "name"
  | "endpoint"
  | "region"
  | "bucket"
  | "prefix"
  | "key"
  | "secret"
  | "aws_profile";

/** What the fields hold, as text. */
export type Form = {
  name: string;
  endpoint: string;
  region: string;
  bucket: string;
  prefix: string;
  path_style: boolean;
  by: SignIn["by"];
  key: string;
  secret: string;
  aws_profile: string;
  clean_up: string;
};

export const CLEAN_UPS = ["at_end", "7d", "30d", "never"] as const;

/** The names of the sentences under `setup.wrong`. */
export type Wrong = keyof (typeof en)["setup"]["wrong"];
export type Wrongs = Partial<Record<Field, Wrong>>;

/** The form of a new profile, with what is known of its provider filled in. */
export function fresh(provider: Provider, awsProfiles: string[]): Form {
  return {
    name: "",
    endpoint: "",
    region: provider.region ?? "",
    bucket: "",
    prefix: "",
    path_style: provider.path_style,
    by: "access_key",
    key: "",
    secret: "",
    aws_profile: awsProfiles[0] ?? "",
    clean_up: "7d",
  };
}

/** The form of a profile that is there. Its secret isn't known to the window. */
export function filled(draft: Draft, provider: Provider): Form {
  const region = draft.region ?? provider.region ?? "";
  return {
    name: draft.name,
    // The address that the region makes goes on following the region.
    endpoint:
      draft.endpoint === addressOf(provider, region)
        ? ""
        : (draft.endpoint ?? ""),
    region,
    bucket: draft.bucket,
    prefix: draft.prefix ?? "",
    path_style: draft.path_style ?? provider.path_style,
    by: draft.sign_in.by,
    key: draft.sign_in.by === "access_key" ? draft.sign_in.id : "",
    secret: "",
    aws_profile: draft.sign_in.by === "aws_profile" ? draft.sign_in.name : "",
    clean_up: draft.clean_up ?? "7d",
  };
}

/** What the form asks the shell to make. `pathStyleChosen`: whether the person, not the table, said so. */
export function draftOf(
  form: Form,
  provider: Provider,
  pathStyleChosen: boolean,
): Draft {
  const text = (value: string) => value.trim() || null;
  return {
    name: form.name.trim(),
    provider: provider.id,
    endpoint: text(form.endpoint),
    region: text(form.region),
    bucket: form.bucket.trim(),
    prefix: text(form.prefix),
    // Left to the shell where nobody chose: a bucket with dots or a server without a name needs it.
    path_style: pathStyleChosen ? form.path_style : null,
    sign_in:
      form.by === "access_key"
        ? { by: "access_key", id: form.key.trim() }
        : form.by === "aws_profile"
          ? { by: "aws_profile", name: form.aws_profile }
          : { by: "aws_default" },
    clean_up: form.clean_up,
  };
}

/** A name for the profile that the bucket suggests: free, and one that the shell takes. */
export function suggestName(bucket: string, taken: string[]): string {
  const plain = bucket
    .trim()
    .replace(/[^A-Za-z0-9._-]/g, "")
    .replace(/^\.+/, "")
    .slice(0, 60);
  if (!plain) return "";
  const used = new Set([...taken, LOCAL]);
  for (let at = 1; ; at += 1) {
    const name = at === 1 ? plain : `${plain}-${at}`;
    if (!used.has(name)) return name;
  }
}

/** The address that a region gives, where the provider has one for each. */
export const addressOf = (provider: Provider, region: string) =>
  provider.endpoint?.replace("{region}", region.trim());

/** What is wrong in each field, by the shell's own rules. An empty object: nothing. */
export function check(
  form: Form,
  provider: Provider,
  about: { taken: string[]; nameIsFixed: boolean; secretIsKept: boolean },
): Wrongs {
  const wrongs: Wrongs = {};
  const put = (field: Field, wrong: Wrong | undefined) => {
    if (wrong) wrongs[field] = wrong;
  };
  put("endpoint", wrongEndpoint(form.endpoint.trim(), provider));
  put("region", wrongRegion(form.region.trim(), provider));
  put("bucket", wrongBucket(form.bucket.trim()));
  put("prefix", wrongPrefix(form.prefix.trim()));
  if (!about.nameIsFixed) put("name", wrongName(form.name.trim(), about.taken));
  if (form.by === "access_key") {
    put("key", wrongKey(form.key.trim()));
    if (!form.secret.trim() && !about.secretIsKept) put("secret", "no_secret");
  }
  if (form.by === "aws_profile" && !form.aws_profile)
    put("aws_profile", "no_aws_profile");
  return wrongs;
}

function wrongEndpoint(text: string, provider: Provider): Wrong | undefined {
  if (!text) return provider.endpoint ? undefined : "no_endpoint";
  if (!/^https?:\/\//i.test(text)) return "endpoint_scheme";
  let url;
  try {
    url = new URL(text);
  } catch {
    return "endpoint";
  }
  if (url.username || url.password) return "endpoint_user";
  if (url.pathname !== "/" || url.search || url.hash) return "endpoint_path";
  return url.hostname.split(".").some((step) => !step) ? "endpoint" : undefined;
}

function wrongRegion(text: string, provider: Provider): Wrong | undefined {
  // The shell knows what to sign for where nobody names regions.
  if (!text) return provider.id === "other" ? undefined : "no_region";
  return /^[A-Za-z0-9-]+$/.test(text) ? undefined : "region";
}

function wrongBucket(text: string): Wrong | undefined {
  if (!text) return "no_bucket";
  if (/^s3:|\//i.test(text)) return "bucket_address";
  if (text.length < 3) return "bucket_short";
  const steps = text.split(".");
  return /^[A-Za-z0-9._-]{3,255}$/.test(text) &&
    steps.every((step) => step && !step.startsWith("-"))
    ? undefined
    : "bucket";
}

function wrongPrefix(text: string): Wrong | undefined {
  const plain = text.replace(/^\/+|\/+$/g, "");
  if (!plain) return undefined;
  return /^[A-Za-z0-9._/-]{1,500}$/.test(plain) &&
    plain.split("/").every((step) => step && step !== "." && step !== "..")
    ? undefined
    : "prefix";
}

function wrongName(text: string, taken: string[]): Wrong | undefined {
  if (!text) return "no_name";
  if (text === LOCAL || taken.includes(text)) return "name_taken";
  return /^(?!\.)[A-Za-z0-9._-]{1,64}$/.test(text) ? undefined : "name";
}

function wrongKey(text: string): Wrong | undefined {
  if (!text) return "no_key";
  return /^[!-~]{1,128}$/.test(text) && !/[/,"\\]/.test(text)
    ? undefined
    : "key";
}

/** The field that a refusal of the shell is about; undefined: the form as a whole. */
export function fieldOf(
  failure: Failure,
  form: Form,
  provider: Provider,
): Field | undefined {
  switch (failure.code) {
    case "sign_in":
      if (form.by === "aws_profile") return "aws_profile";
      return form.by === "access_key" ? "secret" : undefined;
    case "access_denied":
      return form.by === "access_key" ? "key" : undefined;
    case "no_such_bucket":
      return "bucket";
    case "wrong_region":
      return "region";
    case "unreachable":
    case "not_s3":
    case "certificate":
      // Where the region makes the address, the region is what can be mistyped.
      return provider.endpoint && !form.endpoint.trim() ? "region" : "endpoint";
    case "profile_exists":
      return "name";
    default:
      return undefined;
  }
}
