//! Taking links back, and what was taken back.

use std::collections::BTreeSet;
use std::time::Duration;

use lapse_core::keychain::Sensitive;
use lapse_core::rotation::{AllLinks, AllRevoked, Consent};
use lapse_core::share::{File, Revoked, ShareId};
use lapse_core::storage::Keys;
use lapse_core::{Code, Error, Lapse};
use serde_json::json;

use super::profile::secret_of;
use super::{Outcome, agrees};
use crate::args::RevokeArgs;
use crate::output::{Output, clock, columns, json_line, line, share_line};
use crate::progress::Screen;

pub(crate) async fn revoke(
    lapse: &Lapse,
    output: Output,
    screen: &Screen,
    args: RevokeArgs,
) -> Result<Outcome, Error> {
    if args.all {
        return Box::pin(all(lapse, output, screen, args)).await;
    }
    let file = if args.keep_file { File::Kept } else { File::Deleted };
    if let Some(label) = &args.label {
        let revoked = lapse.revoke_label(label, file).await?;
        return Ok(tell_each(output, file, revoked));
    }
    if args.old_versions {
        return old_versions(lapse, output, &args.ids).await;
    }
    if let [id] = &args.ids[..] {
        let revoked = lapse.revoke(id, file).await?;
        return Ok(tell_each(output, file, vec![(id.clone(), Ok(revoked))]));
    }
    let mut revoked = Vec::new();
    for id in args.ids {
        let done = lapse.revoke(&id, file).await;
        revoked.push((id, done));
    }
    Ok(tell_each(output, file, revoked))
}

fn tell_each(
    output: Output,
    file: File,
    revoked: Vec<(ShareId, Result<Revoked, Error>)>,
) -> Outcome {
    let all = revoked.len();
    let mut failed = 0;
    for (_, revoked) in revoked {
        match revoked {
            Ok(revoked) => failed += usize::from(!tell(output, file, &revoked)),
            Err(error) => {
                output.tell(&error);
                failed += 1;
            }
        }
    }
    Outcome::of(failed, all)
}

/// Says what was seen. Gives whether every link was surely refused.
fn tell(output: Output, file: File, revoked: &Revoked) -> bool {
    let Revoked { id, checked, refused, .. } = revoked;
    if output.is_json() {
        json_line(revoked);
    } else {
        let done = match file {
            File::Deleted => "deleted",
            File::Kept => "moved to a key that nobody knows",
        };
        line(&format!("{id}: {done}. {}", seen(*checked, *refused)));
        if revoked.keeps_versions {
            output.aside(&format!(
                "The bucket keeps old versions of it, which no link of Lapse opens. To delete them: lapse revoke {id} --old-versions"
            ));
        }
    }
    if refused < checked {
        output.tell(&Error::new(
            Code::NotKnown,
            format!("not every link of {id} could be seen to be refused"),
            "Ask again with `lapse check`.",
        ));
    }
    refused == checked
}

fn seen(checked: usize, refused: usize) -> String {
    let (links, verb) = if checked == 1 { ("link", "refuses") } else { ("links", "refuse") };
    format!("Checked: {refused} of {checked} {links} now {verb} access.")
}

async fn old_versions(lapse: &Lapse, output: Output, ids: &[ShareId]) -> Result<Outcome, Error> {
    for id in ids {
        let deleted = lapse.purge(id).await?;
        if output.is_json() {
            json_line(&json!({ "id": id, "versions_deleted": deleted }));
        } else {
            line(&format!("{id}: {deleted} old versions deleted."));
        }
    }
    Ok(Outcome::Done)
}

async fn all(
    lapse: &Lapse,
    output: Output,
    screen: &Screen,
    args: RevokeArgs,
) -> Result<Outcome, Error> {
    let profile = args.profile.as_deref();
    let mut consent = Consent {
        stop_others: args.stop_other_users_of_this_key,
        delete_key: args.delete_key,
        new_key: None,
        end_sessions_of: args.end_sessions_of_role,
    };
    if let Some(id) = args.new_key {
        let secret: Sensitive<String> = secret_of(&id, args.secret_stdin)?;
        consent.new_key = Some(Keys::lasting(id, secret));
    }
    let plan = lapse.all_links(profile).await?;
    let kept = kept(lapse, &plan, &args.keep)?;
    tell_plan(output, &plan, kept);
    let question = format!("Revoke {}?", count(plan.shares.len() - kept, "share"));
    if !args.yes && !agrees(&question)? {
        let what = "nothing was revoked";
        return Err(Error::new(Code::Usage, what, "Add --yes to revoke without a question."));
    }
    screen.tell_steps();
    let revoked = Box::pin(lapse.revoke_all(profile, &args.keep, &consent)).await?;
    screen.end();
    Ok(tell_all(output, &revoked, plan.others))
}

/// How many shares are to be kept, each of which must have a link that ends.
fn kept(lapse: &Lapse, plan: &AllLinks, keep: &[ShareId]) -> Result<usize, Error> {
    let mut kept = BTreeSet::new();
    for id in keep {
        let id = lapse.show(id)?.share.id;
        if plan.shares.iter().all(|share| share.id != id) {
            return Err(Error::new(
                Code::NotActive,
                format!("the share {id} has no link that this would end"),
                "Leave it out of --keep; `lapse list` shows what lives.",
            ));
        }
        kept.insert(id);
    }
    Ok(kept.len())
}

fn tell_plan(output: Output, plan: &AllLinks, kept: usize) {
    let end = match &plan.role {
        Some(role) => {
            format!("This ends every session of the role {role} that was issued before now")
        }
        None => format!("This switches {} off", plan.access_key),
    };
    let ends = match (plan.shares.len(), kept) {
        (0, _) => "no link by it lives".to_owned(),
        (links, 0) => format!("the links of {} end", count(links, "share")),
        (links, kept) => format!(
            "the links of {} end, and {} a new one",
            count(links, "share"),
            if kept == 1 { "1 gets".to_owned() } else { format!("{kept} get") }
        ),
    };
    output.aside(&format!(
        "{end} («{}»): {ends}. Downloads that are under way may finish. The files stay in the bucket.",
        plan.profile
    ));
    if plan.role.is_some() {
        output.aside("Whoever else uses that role must sign in anew.");
    } else if !plan.is_own {
        let used = plan.last_use.as_ref().map_or_else(String::new, |used| {
            let service = used
                .service
                .as_deref()
                .map_or_else(String::new, |service| format!(" for {service}"));
            format!(" It was last used at {}{service}.", clock(used.at))
        });
        output
            .aside(&format!("Every other program that uses {} stops too.{used}", plan.access_key));
    }
    if plan.others > 0 {
        output.aside(&format!(
            "{} signed by an earlier key of «{}» stay: revoke these by their ids.",
            count(plan.others, "link"),
            plan.profile
        ));
    }
}

fn tell_all(output: Output, revoked: &AllRevoked, others: usize) -> Outcome {
    let AllRevoked { checked, refused, kept, .. } = revoked;
    for shared in kept {
        if output.is_json() {
            share_line(shared);
        } else {
            output.aside(&format!("The new link of «{}»:", shared.share.name));
            line(shared.url.expose());
        }
    }
    if output.is_json() {
        let mut line = json!({ "checked": checked, "refused": refused, "kept": kept.len() });
        if revoked.unasked > 0 {
            line["unasked"] = json!(revoked.unasked);
        }
        // They stay, by whatever signed them; those of which that isn't known are told already.
        let known = if revoked.role().is_some() { revoked.unasked } else { 0 };
        let others = others.saturating_sub(known);
        if others > 0 {
            line["others"] = json!(others);
        }
        json_line(&line);
    } else {
        output.aside(&seen(*checked, *refused));
        if revoked.is_off && !kept.is_empty() {
            output.aside("The old links of what is kept are refused too.");
        }
        if revoked.unasked > 0 {
            output.aside(&format!(
                "{} of before can't be asked: what signed {} isn't kept here.",
                count(revoked.unasked, "link"),
                if revoked.unasked == 1 { "it" } else { "them" }
            ));
        }
        if revoked.is_restorable {
            output.aside(&format!(
                "{} is switched off, not deleted. For 7 days it can be switched on again: lapse profile restore-key {}",
                revoked.old_key, revoked.profile
            ));
        }
    }
    match seen_off(revoked) {
        Ok(()) => Outcome::Done,
        Err(error) => {
            output.tell(&error);
            Outcome::Failed
        }
    }
}

/// Whether the end of the old links is seen; else what isn't seen yet.
fn seen_off(revoked: &AllRevoked) -> Result<(), Error> {
    let AllRevoked { old_key, checked, refused, .. } = revoked;
    if revoked.is_off {
        return Ok(());
    }
    let what = if refused == checked {
        format!("{old_key} isn't seen to be off yet")
    } else {
        format!("{} of {checked} links could not be seen to be refused yet", checked - refused)
    };
    let hint = if revoked.by_hand {
        format!("Switch {old_key} off at the provider's site. Lapse looks again at its next start.")
    } else if revoked.role().is_some() {
        "The role refuses them; some providers need a while. Their keys aren't kept: open one to see."
            .to_owned()
    } else {
        "It is switched off; Lapse asks again at its next start. Ask now with `lapse check`."
            .to_owned()
    };
    Err(Error::new(Code::NotKnown, what, hint))
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// How long what was asked for now waits for that: each step may be broken off and done again.
pub(crate) const FINISHING: Duration = Duration::from_secs(15);
/// The same where only what is known here is asked for.
pub(crate) const FINISHING_SOON: Duration = Duration::from_secs(4);
/// After so long it is said what is waited for.
const SILENT: Duration = Duration::from_secs(1);

fn no_answer() -> Error {
    Error::new(
        Code::Unreachable,
        "the storage doesn't answer",
        "Lapse tries again at its next start.",
    )
}

/// Finishes what an earlier run was cut off at, and says so.
pub(crate) async fn finish(lapse: &Lapse, output: Output, longest: Duration) {
    let finishing = tokio::time::timeout(longest, lapse.finish_revokes());
    let mut finishing = std::pin::pin!(finishing);
    let finished = tokio::select! {
        finished = &mut finishing => finished,
        () = tokio::time::sleep(SILENT) => {
            output.aside("lapse: finishing a revoke that was cut off…");
            finishing.await
        }
    };
    for finished in finished.unwrap_or_else(|_| vec![Err(no_answer())]) {
        match finished.and_then(|revoked| seen_off(&revoked).map(|()| revoked)) {
            Ok(revoked) => {
                let end = if revoked.role().is_some() {
                    "refuses its earlier sessions"
                } else {
                    "is off"
                };
                let AllRevoked { old_key, checked, refused, .. } = revoked;
                output.aside(&format!(
                    "lapse: the revoke that was cut off is finished: {old_key} {end}. {}",
                    seen(checked, refused)
                ));
            }
            // It is tried again at the next start; what was asked for now isn't held up.
            Err(error) => {
                output.aside(&format!("lapse: a revoke that was cut off isn't finished: {error}"));
            }
        }
    }
}

/// What was taken back so far.
pub(crate) fn history(lapse: &Lapse, output: Output) -> Result<Outcome, Error> {
    let done = lapse.revocations()?;
    if output.is_json() {
        done.iter().for_each(json_line);
        return Ok(Outcome::Done);
    }
    if done.is_empty() {
        output.aside("Nothing was revoked yet.");
        return Ok(Outcome::Done);
    }
    let mut rows = vec![["WHEN", "HOW", "WHAT", "PROFILE", "SEEN"].map(str::to_owned).to_vec()];
    rows.extend(done.iter().map(|done| {
        let what = match (&done.share, &done.name, &done.old_key) {
            (Some(id), Some(name), _) => format!("{id} {name}"),
            (_, _, Some(key)) => key.clone(),
            _ => String::new(),
        };
        vec![
            clock(done.at),
            done.how.replace('_', " "),
            what,
            done.profile.clone(),
            format!("{} of {} refused, {} kept", done.refused, done.checked, done.kept),
        ]
    }));
    line(&columns(&rows));
    Ok(Outcome::Done)
}
