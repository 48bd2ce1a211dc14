//! Uploads that aren't over: to be seen, held, gone on with, or taken away.

use lapse_core::share::{ShareId, State, Unfinished};
use lapse_core::{Code, Error, Lapse};
use serde_json::json;

use super::Outcome;
use super::share::{Links, give_each};
use crate::args::{Copy, UploadsArgs};
use crate::output::{Output, columns, json_line, line, size};
use crate::progress::Screen;

pub(crate) async fn uploads(
    lapse: &Lapse,
    output: Output,
    args: UploadsArgs,
) -> Result<Outcome, Error> {
    if args.clean {
        return clean(lapse, output, args.profile.as_deref()).await;
    }
    let uploads = lapse.unfinished()?;
    if output.is_json() {
        for upload in &uploads {
            json_line(&json!({
                "id": upload.share.id,
                "name": upload.share.name,
                "size": upload.share.size,
                "arrived": upload.share.arrived,
                "profile": upload.share.profile,
                "state": state(lapse, upload)?.as_str(),
                "trouble": upload.share.trouble,
                "can_go_on": upload.can_go_on,
            }));
        }
    } else if uploads.is_empty() {
        output.aside("Every upload has ended.");
    } else {
        let head = ["ID", "STATE", "NAME", "ARRIVED", "PROFILE", ""].map(str::to_owned).to_vec();
        let mut rows = vec![head];
        for upload in &uploads {
            let share = &upload.share;
            let state = state(lapse, upload)?;
            rows.push(vec![
                share.id.to_string(),
                state.as_str().to_owned(),
                share.name.clone(),
                format!("{} of {}", size(share.arrived), size(share.size)),
                share.profile.clone(),
                words(upload, &state),
            ]);
        }
        line(&columns(&rows));
    }
    Ok(Outcome::Done)
}

fn state(lapse: &Lapse, upload: &Unfinished) -> Result<State, Error> {
    lapse.show(&upload.share.id).map(|known| known.state)
}

fn words(upload: &Unfinished, state: &State) -> String {
    let id = &upload.share.id;
    match (state, &upload.share.trouble) {
        (State::Uploading, None) => "is being sent".to_owned(),
        (_, Some(trouble)) if upload.can_go_on => format!("{trouble}; go on: lapse resume {id}"),
        _ if upload.can_go_on => format!("go on: lapse resume {id}"),
        _ => "can't be gone on with; take it away: lapse uploads --clean".to_owned(),
    }
}

async fn clean(lapse: &Lapse, output: Output, profile: Option<&str>) -> Result<Outcome, Error> {
    let (cleaned, failed) = lapse.clean_uploads().await?;
    for error in &failed {
        output.tell(error);
    }
    // Not knowing them takes nothing from what was done.
    let others = match lapse.other_uploads(profile).await {
        Ok(others) => others,
        Err(error) => {
            output.tell(&error);
            Vec::new()
        }
    };
    if output.is_json() {
        json_line(&json!({ "cleaned": cleaned, "left": failed.len(), "others": others }));
    } else {
        let what = if cleaned == 1 { "upload" } else { "uploads" };
        line(&format!("{cleaned} {what} given up: nothing of it is at the storage any more."));
        if !others.is_empty() {
            line(
                "Unfinished uploads that aren't this Lapse's; another computer may be sending them:",
            );
            for key in &others {
                line(&format!("  {key}"));
            }
        }
    }
    Ok(Outcome::of(failed.len(), cleaned + failed.len()))
}

pub(crate) fn pause(lapse: &Lapse, output: Output, ids: &[ShareId]) -> Result<Outcome, Error> {
    let ids = ids_or(ids, lapse, |upload, state| upload.can_go_on && *state == State::Uploading)?;
    if ids.is_empty() {
        output.aside("Nothing is being sent.");
    }
    each(output, &ids, |id| lapse.pause(id))
}

pub(crate) async fn cancel(
    lapse: &Lapse,
    output: Output,
    ids: &[ShareId],
) -> Result<Outcome, Error> {
    let mut failed = 0;
    for id in ids {
        match lapse.cancel(id).await {
            Ok(()) => {}
            Err(error) if ids.len() == 1 => return Err(error),
            Err(error) => {
                output.tell(&error);
                failed += 1;
            }
        }
    }
    Ok(Outcome::of(failed, ids.len()))
}

pub(crate) async fn resume(
    lapse: &Lapse,
    output: Output,
    screen: &Screen,
    ids: &[ShareId],
    copy: Copy,
) -> Result<Outcome, Error> {
    let ids = ids_or(ids, lapse, |upload, state| upload.can_go_on && *state == State::Paused)?;
    if ids.is_empty() {
        output.aside("No upload waits.");
        return Ok(Outcome::Done);
    }
    let mut ours = Vec::new();
    for id in &ids {
        match lapse.resume(id) {
            // Another program sends it, and does so again.
            Ok(true) => output.aside(&format!("{id}: goes on where it was paused.")),
            Ok(false) => ours.push(id.clone()),
            Err(error) if ids.len() == 1 => return Err(error),
            Err(error) => output.tell(&error),
        }
    }
    let unfinished = lapse.unfinished()?;
    let bytes = unfinished.iter().filter(|upload| ours.contains(&upload.share.id));
    screen.expect(ours.len(), bytes.map(|upload| upload.share.size).sum());
    let links = Links::new(copy);
    let all = ours.len();
    let sending = ours.iter().map(|id| lapse.carry_on(id));
    give_each(lapse, output, screen, links, all, sending).await
}

/// Those that are named; with none named, those that `which` chooses.
fn ids_or(
    ids: &[ShareId],
    lapse: &Lapse,
    which: impl Fn(&Unfinished, &State) -> bool,
) -> Result<Vec<ShareId>, Error> {
    if !ids.is_empty() {
        return Ok(ids.to_vec());
    }
    let mut chosen = Vec::new();
    for upload in lapse.unfinished()? {
        if which(&upload, &state(lapse, &upload)?) {
            chosen.push(upload.share.id);
        }
    }
    Ok(chosen)
}

fn each(
    output: Output,
    ids: &[ShareId],
    act: impl Fn(&ShareId) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let mut failed = 0;
    for id in ids {
        match act(id) {
            Ok(()) => {}
            Err(error) if ids.len() == 1 => return Err(error),
            Err(error) => {
                output.tell(&error);
                failed += 1;
            }
        }
    }
    Ok(Outcome::of(failed, ids.len()))
}

/// How to go on with uploads that were stopped, if any were.
pub(crate) fn how_to_go_on(lapse: &Lapse, paused: &[ShareId]) -> String {
    let waiting: Vec<ShareId> = lapse
        .unfinished()
        .unwrap_or_default()
        .into_iter()
        .map(|upload| upload.share.id)
        .filter(|id| paused.contains(id))
        .collect();
    match waiting.as_slice() {
        [] => "`lapse list` shows what was done before.".to_owned(),
        [id] => format!("What arrived is kept; go on with: lapse resume {id}"),
        several => {
            format!("What arrived of {} files is kept; go on with: lapse resume", several.len())
        }
    }
}

/// That what was stopped can be gone on with.
pub(crate) fn stopped(lapse: &Lapse, paused: &[ShareId]) -> Error {
    Error::new(Code::Interrupted, "stopped", how_to_go_on(lapse, paused))
}
