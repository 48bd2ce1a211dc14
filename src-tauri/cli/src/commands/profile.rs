//! Profiles: where shares go.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use lapse_core::keychain::Sensitive;
use lapse_core::profile::{Draft, Profile, SignIn};
use lapse_core::rotation::Admin;
use lapse_core::storage::Keys;
use lapse_core::storage::probe::Verdict;
use lapse_core::{Code, Error, Lapse};
use serde_json::{Value, json};

use super::Outcome;
use crate::args;
use crate::output::{Output, clock, columns, json_line, line};

/// No secret is longer; more is a file given by mistake.
const LONGEST_SECRET: u64 = 4096;

pub(crate) async fn run(
    lapse: &Lapse,
    output: Output,
    command: args::Profile,
) -> Result<Outcome, Error> {
    match command {
        args::Profile::Add(args) => add(lapse, output, *args).await,
        args::Profile::List => list(lapse, output),
        args::Profile::Show { name } => show(lapse, output, &name),
        args::Profile::Use { name } => {
            lapse.use_profile(&name)?;
            output.aside(&format!("Files are shared with «{name}» from now on."));
            Ok(Outcome::Done)
        }
        args::Profile::Check { name } => check(lapse, output, name.as_deref()).await,
        args::Profile::Lifecycle { name, yes } => {
            lifecycle(lapse, output, name.as_deref(), yes).await
        }
        args::Profile::Signer { command } => Box::pin(signer(lapse, output, command)).await,
        args::Profile::RestoreKey { name } => {
            let access_key = lapse.restore_key(name.as_deref()).await?;
            output.aside(&format!(
                "{access_key} is switched on again: links that it signed open again."
            ));
            Ok(Outcome::Done)
        }
        args::Profile::Remove { name, keep_links } => {
            let signer = lapse.profile(Some(&name)).await.ok().and_then(|profile| profile.signer);
            let current = lapse.settings()?.current();
            lapse.remove_profile(&name, keep_links).await?;
            output.aside(&format!("«{name}» is removed. Its bucket wasn't touched."));
            if let Some(signer) = signer {
                output.aside(&format!(
                    "The user {} stays at the storage: delete it there, which ends its links too.",
                    signer.user
                ));
            }
            let next = lapse.settings()?.current();
            if next != current {
                output.aside(&format!("Files are shared with «{next}» from now on."));
            }
            Ok(Outcome::Done)
        }
    }
}

async fn lifecycle(
    lapse: &Lapse,
    output: Output,
    name: Option<&str>,
    yes: bool,
) -> Result<Outcome, Error> {
    let mut rule = lapse.unfinished_rule(name).await?;
    let was_there = rule.is_there;
    if yes && !was_there {
        lapse.add_unfinished_rule(name).await?;
        rule = lapse.unfinished_rule(name).await?;
    }
    if output.is_json() {
        json_line(&json!({
            "rule": rule.text, "is_there": rule.is_there, "added": rule.is_there && !was_there,
            "others": rule.others,
        }));
        return Ok(Outcome::Done);
    }
    let sign = if rule.is_there { " " } else { "+" };
    for other in &rule.others {
        line(&format!("  {other} (stays as it is)"));
    }
    line(&format!("{sign} {}", rule.text));
    output.aside(match (rule.is_there, was_there) {
        (true, true) => "The bucket has this rule.",
        (true, false) => "Added; the bucket's rules were read back.",
        (false, _) => "To add it, say --yes.",
    });
    Ok(Outcome::Done)
}

async fn signer(lapse: &Lapse, output: Output, command: args::Signer) -> Result<Outcome, Error> {
    let args::Signer::Create {
        name,
        admin_access_key,
        secret_stdin,
        admin_endpoint,
        admin_aws_profile,
    } = command;
    let name = name.as_deref();
    let admin = match (admin_access_key, admin_endpoint, admin_aws_profile) {
        (Some(id), _, _) => {
            let secret = secret_of(&id, secret_stdin)?;
            Admin::Keys(Keys::lasting(id, secret))
        }
        (_, Some(endpoint), _) => {
            let token = secret_of(&endpoint, secret_stdin)?;
            Admin::Garage { endpoint, token }
        }
        (_, _, aws) => {
            Admin::Keys(lapse.aws_keys(name, aws.as_deref().unwrap_or("default")).await?)
        }
    };
    let signer = lapse.create_signer(name, admin).await?;
    if output.is_json() {
        json_line(&json!({
            "user": signer.user, "access_key": signer.access_key, "rotator": signer.rotator,
        }));
    } else {
        line(&format!("{} signs links from now on, as {}.", signer.access_key, signer.user));
        output.aside(&match &signer.rotator {
            Some(rotator) if signer.admin_endpoint.is_some() => format!(
                "It may only read the bucket. Its keys are rotated with the admin token {rotator}, which is in the keychain. Garage can't narrow a token to one key: this one may make, switch and delete any, and read no settings."
            ),
            Some(rotator) => format!(
                "It may only read. Its keys are rotated by {rotator}, which may do nothing else."
            ),
            None => "It may only read, and rotate its own keys.".to_owned(),
        });
        output.aside("Links that were given before keep the key that signed them. The admin sign-in wasn't kept.");
    }
    Ok(Outcome::Done)
}

/// A secret that belongs to an access key.
pub(super) fn secret_of(id: &str, from_stdin: bool) -> Result<Sensitive<String>, Error> {
    if from_stdin { secret_from_stdin(id) } else { secret_from_prompt(id) }
}

async fn add(lapse: &Lapse, output: Output, args: args::ProfileArgs) -> Result<Outcome, Error> {
    let secret = match &args.access_key {
        Some(id) if args.secret_stdin => Some(secret_from_stdin(id)?),
        Some(id) if std::env::var_os("LAPSE_SECRET_ACCESS_KEY").is_none() => {
            Some(secret_from_prompt(id)?)
        }
        _ => None,
    };
    let sign_in = match (args.access_key, args.aws_profile) {
        (Some(id), _) => SignIn::AccessKey(id),
        (None, Some(name)) => SignIn::AwsProfile(name),
        (None, None) => SignIn::AwsDefault,
    };
    let draft = Draft {
        name: args.name,
        provider: args.provider,
        endpoint: args.endpoint,
        region: args.region,
        bucket: args.bucket,
        prefix: args.prefix,
        path_style: args.path_style.then_some(true),
        sign_in: Some(sign_in),
        ca_file: args.ca_file.map(std::path::absolute).transpose().unwrap_or_default(),
        signer: None,
        clean_up: args.clean_up,
    };
    let added = match lapse.add_profile(draft.clone(), secret.clone(), args.create_bucket).await {
        Err(error) if error.code == Code::NoSuchBucket && asks_to_create(&error) => {
            lapse.add_profile(draft, secret, true).await
        }
        Err(error) if error.code == Code::NoSuchBucket => Err(Error::new(
            error.code,
            error.message,
            "Correct the name, or add --create-bucket to make it.",
        )),
        added => added,
    }?;
    output.aside(&format!("Added «{}». Checking what its bucket can do:", added.name));
    check(lapse, output, Some(&added.name)).await
}

/// Only a person at a terminal can be asked.
fn asks_to_create(error: &Error) -> bool {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return false;
    }
    let mut answer = String::new();
    let asked = write!(std::io::stderr(), "lapse: {}. Make it now? [y/N] ", error.message);
    asked.is_ok()
        && std::io::stdin().lock().read_line(&mut answer).is_ok()
        && answer.trim().eq_ignore_ascii_case("y")
}

fn secret_from_stdin(id: &str) -> Result<Sensitive<String>, Error> {
    let mut text = String::new();
    let read = std::io::stdin().take(LONGEST_SECRET + 1).read_to_string(&mut text);
    let secret = Sensitive::new(text.trim_end_matches(['\r', '\n']).to_owned());
    let whole = read.is_ok_and(|size| size as u64 <= LONGEST_SECRET);
    check_secret(id, secret, whole)
}

fn secret_from_prompt(id: &str) -> Result<Sensitive<String>, Error> {
    match rpassword::prompt_password(format!("Secret of {id}: ")) {
        Ok(text) => check_secret(id, Sensitive::new(text), true),
        Err(_) => Err(Error::new(
            Code::Usage,
            "there is no terminal to ask for the secret",
            "Add --secret-stdin and send the secret on standard input.",
        )),
    }
}

fn check_secret(
    id: &str,
    secret: Sensitive<String>,
    whole: bool,
) -> Result<Sensitive<String>, Error> {
    let text = secret.expose();
    if text.is_empty() || !whole || text.chars().any(char::is_control) {
        return Err(Error::new(
            Code::Usage,
            format!("no usable secret came for {id}"),
            "Send the secret alone, on one line.",
        ));
    }
    Ok(secret)
}

fn list(lapse: &Lapse, output: Output) -> Result<Outcome, Error> {
    let mut rows = vec![["", "NAME", "PROVIDER", "BUCKET", "ENDPOINT"].map(str::to_owned).to_vec()];
    for listed in lapse.profiles()? {
        if output.is_json() {
            json_line(&profile_json(&listed.name, listed.profile.as_ref(), listed.current));
            continue;
        }
        let mark = if listed.current { "*" } else { "" };
        rows.push(match &listed.profile {
            Some(profile) => vec![
                mark.to_owned(),
                listed.name,
                profile.provider.name.to_owned(),
                place(profile),
                profile.endpoint.to_string(),
            ],
            None => vec![
                mark.to_owned(),
                listed.name,
                "This computer".to_owned(),
                "not started yet".to_owned(),
            ],
        });
    }
    if !output.is_json() {
        line(&columns(&rows));
    }
    Ok(Outcome::Done)
}

fn place(profile: &Profile) -> String {
    match profile.prefix.as_str() {
        "" => profile.bucket.clone(),
        prefix => format!("{}/{prefix}", profile.bucket),
    }
}

fn profile_json(name: &str, profile: Option<&Profile>, current: bool) -> Value {
    let mut value = json!({ "name": name, "current": current });
    if let (Value::Object(map), Some(profile)) = (&mut value, profile) {
        map.insert("provider".to_owned(), json!(profile.provider.id));
        map.insert("endpoint".to_owned(), json!(profile.endpoint.to_string()));
        map.insert("region".to_owned(), json!(profile.region));
        map.insert("bucket".to_owned(), json!(profile.bucket));
        map.insert("prefix".to_owned(), json!(profile.prefix));
        map.insert("path_style".to_owned(), json!(profile.path_style));
        let (kind, who) = sign_in(profile);
        map.insert("sign_in".to_owned(), json!({ "kind": kind, "name": who }));
    }
    value
}

fn sign_in(profile: &Profile) -> (&'static str, &str) {
    match &profile.sign_in {
        SignIn::LocalStore => ("local_store", ""),
        SignIn::AccessKey(id) => ("access_key", id),
        SignIn::AwsProfile(name) => ("aws_profile", name),
        SignIn::AwsDefault => ("aws_default", ""),
    }
}

fn show(lapse: &Lapse, output: Output, name: &str) -> Result<Outcome, Error> {
    let listed =
        lapse.profiles()?.into_iter().find(|listed| listed.name == name).ok_or_else(|| {
            Error::new(
                Code::NoSuchProfile,
                format!("there is no profile «{}»", name.escape_debug()),
                "See them with `lapse profile list`.",
            )
        })?;
    let findings = lapse.last_findings(name)?;
    if output.is_json() {
        let mut value = profile_json(name, listed.profile.as_ref(), listed.current);
        if let (Value::Object(map), Some((at, findings))) = (&mut value, findings) {
            map.insert("checked_at".to_owned(), json!(at.to_string()));
            map.insert("findings".to_owned(), json!(findings));
        }
        json_line(&value);
        return Ok(Outcome::Done);
    }
    let mut rows = vec![row("name", name)];
    if let Some(profile) = &listed.profile {
        let (kind, who) = sign_in(profile);
        rows.extend([
            row("provider", profile.provider.name),
            row("endpoint", &profile.endpoint.to_string()),
            row("region", &profile.region),
            row("bucket", &place(profile)),
            row("sign-in", format!("{} {who}", kind.replace('_', " ")).trim()),
        ]);
    }
    match &findings {
        Some((at, _)) => rows.push(row("checked", &clock(*at))),
        None => rows.push(row("checked", "not yet; lapse profile check does it")),
    }
    line(&columns(&rows));
    for finding in findings.iter().flat_map(|(_, findings)| findings) {
        line(&format!("  {}  {}", finding.verdict.label(), finding.text));
    }
    Ok(Outcome::Done)
}

fn row(name: &str, value: &str) -> Vec<String> {
    vec![name.to_owned(), value.to_owned()]
}

async fn check(lapse: &Lapse, output: Output, name: Option<&str>) -> Result<Outcome, Error> {
    let findings = lapse.check_profile(name).await?;
    if output.is_json() {
        for finding in &findings {
            json_line(finding);
        }
    }
    let failed = findings.iter().any(|finding| finding.verdict == Verdict::Fail);
    output.aside(if failed {
        "Not everything that links rely on works; see the lines that say FAIL."
    } else {
        "Everything that links rely on works."
    });
    Ok(if failed { Outcome::Failed } else { Outcome::Done })
}
