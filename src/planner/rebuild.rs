//! A changed image, installed on the server that is there: only where the text of the wish changed and the policy says
//! so, since the root disk is erased. What is seen first is recorded, not acted on.

use super::draft::{Draft, Verdict};
use super::model::{CloudError, Disks, ErrorClass, FailedStep, ObservedServer, Operate, ServerState};
use super::operation::{Progress, close};
use super::stop::Purpose;
use super::{AccountFacts, account, group, power, present, rescue, stop};
use crate::api::Reason;
use crate::api::conditions::bounded;
use crate::api::server::{Image, ManagementPolicy, RebuildWhen};
use crate::api::server_status::{Operation, OperationKind};

const KIND: OperationKind = OperationKind::Rebuild;
/// So often an installation that ended in an error is tried again.
const TRIES: i32 = 3;
/// What a text of an image begins with where it names an id.
const BY_ID: &str = "id:";
/// The longest text that an operation's record holds.
const LENGTH: usize = 255;

/// The wished image and its text, where that is another one than the server was made from.
pub(super) fn changed(d: &Draft<'_>) -> Option<(Image, String)> {
    let image = d.spec.image.as_ref()?;
    let made = d.status.image.as_ref()?.requested.as_deref()?;
    let text = image.text();
    (text != made).then(|| (image.clone(), text))
}

/// The changed image that is to be installed, as far as the policies go.
fn asked_for(d: &Draft<'_>) -> Option<(Image, String)> {
    let when = d.spec.rebuild.as_ref().map(|r| r.when).unwrap_or_default();
    let ours = d.spec.management_policy == ManagementPolicy::Full && when == RebuildWhen::OnImageChange;
    ours.then(|| changed(d).or_else(|| over_what_is_lost(d)))
        .flatten()
}

/// The image whose installation ended in an error and erased the root disk, if one did.
pub(super) fn lost<'a>(d: &'a Draft<'_>) -> Option<&'a str> {
    d.status.image.as_ref()?.failed.as_deref()
}

/// The wished image, where nothing is left of what the server was made from.
fn over_what_is_lost(d: &Draft<'_>) -> Option<(Image, String)> {
    lost(d)?;
    d.spec.image.clone().map(|image| {
        let text = image.text();
        (image, text)
    })
}

/// What is said where the volume may not be erased.
const ON_A_VOLUME: &str = "the root disk is a volume; spec.rebuild.includeRootVolume: true has it erased too";

/// Whether the root disk of a server is a volume: it was made from no image.
pub(super) fn on_a_volume(d: &Draft<'_>, seen: &ObservedServer) -> bool {
    seen.image_id.is_none() && d.status.image.as_ref().is_none_or(|i| i.id.is_none())
}

/// Whether a root disk that is a volume may be erased.
fn includes_volumes(d: &Draft<'_>) -> bool {
    d.spec.rebuild.as_ref().is_some_and(|r| r.include_root_volume)
}

fn not_installed(text: &str, why: &str) -> String {
    format!("image {text} is not installed: {why}")
}

/// Why an image is not installed for now, whatever state the server is in.
fn held_back(d: &Draft<'_>, seen: &ObservedServer, text: &str) -> Option<Verdict> {
    if on_a_volume(d, seen) && !includes_volumes(d) {
        let words = not_installed(text, ON_A_VOLUME);
        return Some(Verdict::Stalled(Reason::Unsupported, words));
    }
    rescue::wanted(d)?;
    let words = not_installed(text, Reason::InRescue.meaning());
    Some(Verdict::Ready(Reason::InRescue, words))
}

/// The same in words, of the image that is asked for.
pub(super) fn waits(d: &Draft<'_>, seen: &ObservedServer) -> Option<String> {
    let (_, text) = asked_for(d)?;
    held_back(d, seen, &text)?.words().map(|(_, words)| words)
}

/// Why a deed does not install an image, if so.
pub(super) fn kept_from(d: &Draft<'_>, seen: &ObservedServer) -> Option<&'static str> {
    (on_a_volume(d, seen) && !includes_volumes(d)).then_some(ON_A_VOLUME)
}

/// How an image is installed.
pub(super) fn how(d: &Draft<'_>, seen: &ObservedServer, image: Image) -> Operate {
    let disks = Disks {
        volume: on_a_volume(d, seen) && includes_volumes(d),
        keep_ephemeral: d.spec.rebuild.as_ref().is_some_and(|r| r.preserve_ephemeral),
    };
    Operate::Image(image, disks)
}

/// The text of the image that is to be installed and was not refused.
pub(super) fn pending(d: &Draft<'_>) -> Option<String> {
    let (_, text) = asked_for(d)?;
    let refused = d.status.image.as_ref().and_then(|i| i.refused.as_ref());
    (refused != Some(&text)).then_some(text)
}

/// Whether an image is to be installed, as far as the policies go.
pub(super) fn wanted(d: &Draft<'_>) -> bool {
    asked_for(d).is_some()
}

/// Shows a changed image that nothing installs. What is to be installed, and was refused, is no drift.
pub(super) fn drift(d: &mut Draft<'_>) {
    let Some((_, wanted)) = changed(d).filter(|_| asked_for(d).is_none()) else {
        return;
    };
    let made = d.status.image.as_ref().and_then(|i| i.requested.as_deref());
    let text = format!(
        "the server was made from image {}; spec.image now says {wanted}, which is not carried out (rebuild.when)",
        made.unwrap_or_default()
    );
    d.drifts.push((Reason::ImageDrift, text));
}

/// Installs a changed image, if so wished. `Err` ends the plan.
pub(super) fn adjust(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    id: &str,
    seen: &ObservedServer,
) -> Result<(), Verdict> {
    if let Some(known) = &mut d.status.image
        && known.requested.is_none()
    {
        known.requested = d.spec.image.as_ref().map(Image::text);
    }
    let Some((image, text)) = asked_for(d) else {
        if let Some(known) = &mut d.status.image {
            known.refused = None;
        }
        return Ok(());
    };
    let can = facts.capabilities;
    let known = d.status.image.clone().unwrap_or_default();
    if known.refused.as_deref() == Some(&text) {
        let words = d.status.failure.as_ref().map_or("", |f| f.message.as_str());
        let words = format!("image {text} cannot be installed: {words}");
        return later(d, Verdict::Stalled(Reason::RebuildFailed, words));
    }
    if !can.has(KIND) {
        let words = not_installed(&text, "this cloud installs none on a server that exists");
        return later(d, Verdict::Stalled(Reason::Unsupported, words));
    }
    if let Some(verdict) = held_back(d, seen, &text) {
        return later(d, verdict);
    }
    if let Some(reason) = d.gagged(facts) {
        let verdict = account::held(d, reason, &format!("image {text} is to be installed"));
        return later(d, verdict);
    }
    let what = format!("image {text} is to be installed");
    let first_stop = seen.state == ServerState::Running
        && !can.allows(KIND, seen.state)
        && can.allows(KIND, ServerState::Stopped);
    if seen.state == ServerState::Running && !first_stop && stop::open(d) {
        // What is being stopped is installed when it stands still.
        return Ok(());
    }
    let kind = if first_stop { OperationKind::Stop } else { KIND };
    match present::not_now(d, facts, seen, kind, &what) {
        None => {}
        // It may be meant to stay there, which is no fault.
        Some(Verdict::Stalled(Reason::Unsupported, words)) if power::exotic(seen.state) => {
            return later(d, Verdict::Ready(Reason::ImagePending, words));
        }
        // Power does not wait for an image, unless the cloud is busy with both.
        Some(verdict @ Verdict::Stalled(..)) => return later(d, verdict),
        Some(Verdict::Keep) => return Err(power::doing(KIND)),
        Some(other) => return Err(other),
    }
    if seen.state == ServerState::Running
        && let Some(verdict) = group::member::turn(d)
    {
        return Err(verdict);
    }
    if first_stop {
        stop::first(d, facts, id, d.spec.power_off.mode, Purpose::Rebuild)?;
        return Err(power::doing(KIND));
    }
    send(d, facts, seen, image, &text);
    Err(power::doing(KIND))
}

/// A person wants what failed to be tried once more, from the first try on.
pub(super) fn forget(d: &mut Draft<'_>) {
    if let Some(image) = &mut d.status.image {
        image.refused = None;
    }
    if !d.in_flight() {
        d.status
            .operation
            .take_if(|o| o.kind == KIND && o.attempt >= TRIES);
    }
}

/// Says so where nothing worse is said; power goes on.
fn later(d: &mut Draft<'_>, verdict: Verdict) -> Result<(), Verdict> {
    d.aside(verdict);
    Ok(())
}

fn send(d: &mut Draft<'_>, facts: &AccountFacts, seen: &ObservedServer, image: Image, text: &str) {
    let seconds = i64::from(facts.capabilities.deadline(KIND));
    let how = how(d, seen, image);
    d.operate(&seen.id, KIND, how, seconds, Some(bounded(text, LENGTH)));
}

/// Nothing is under way any more: what came of the installation.
pub(super) fn ended(d: &mut Draft<'_>, op: &Operation, seen: &ObservedServer, accepted: bool) -> Progress {
    let text = op.argument.clone().unwrap_or_default();
    let before = d.status.image.as_ref().and_then(|i| i.id.clone());
    let wanted = text.strip_prefix(BY_ID);
    let is_there = match (wanted, &seen.image_id) {
        (Some(id), Some(shown)) => Some(id == shown),
        // A name that means the same image as before shows nothing.
        (None, Some(shown)) => before.map(|b| *shown != b).filter(|other| *other || !accepted),
        (_, None) => None,
    };
    match (accepted, is_there) {
        (_, Some(true)) | (true, None) => done(d, &text, seen),
        (true, Some(false)) => {
            let words = format!("the cloud ended the installation of image {text} without effect");
            give_up(d, op, ErrorClass::Transient, None, &words)
        }
        // Nothing is known of the call and nothing shows: it is made again, under the same record.
        (false, _) => Progress::Closed,
    }
}

/// Whether a server at rest shows an image that only the recorded installation can have brought: another one than before it,
/// and the one that is named, where it is named by its id.
pub(super) fn proven(d: &Draft<'_>, op: &Operation, seen: &ObservedServer) -> bool {
    let rests = !seen.busy && matches!(seen.state, ServerState::Running | ServerState::Stopped);
    let before = d.status.image.as_ref().and_then(|i| i.id.as_deref());
    let wanted = op.argument.as_deref().and_then(|text| text.strip_prefix(BY_ID));
    let shows = |shown: &str| before.is_some_and(|b| b != shown) && wanted.is_none_or(|id| id == shown);
    op.kind == KIND && rests && seen.failure_of(KIND).is_none() && seen.image_id.as_deref().is_some_and(shows)
}

/// Ends an installation that is proven to be over, whatever became of its answer.
pub(super) fn shown(d: &mut Draft<'_>, op: &Operation, seen: &ObservedServer) -> Option<Progress> {
    let text = op.argument.as_deref().unwrap_or_default();
    proven(d, op, seen).then(|| done(d, text, seen))
}

fn done(d: &mut Draft<'_>, text: &str, seen: &ObservedServer) -> Progress {
    let wished = d.spec.image.as_ref().map(Image::text);
    let whole = wished.filter(|w| bounded(w, LENGTH) == text);
    if let Some(image) = &mut d.status.image {
        image.requested = Some(whole.unwrap_or_else(|| text.to_owned()));
        image.id = seen.image_id.clone();
        (image.refused, image.failed) = (None, None);
    }
    d.recovered();
    let note = format!("server {} was installed anew from image {text}", seen.id);
    d.event(false, Reason::Rebuilt, "Rebuild", note);
    close(d)
}

/// It is not tried again by itself.
fn give_up(
    d: &mut Draft<'_>,
    op: &Operation,
    class: ErrorClass,
    code: Option<&str>,
    words: &str,
) -> Progress {
    d.failed(class, code, words, None);
    d.memory.backoff = None;
    if let Some(image) = &mut d.status.image {
        image.refused = op.argument.clone();
    }
    d.event(true, Reason::RebuildFailed, "Rebuild", words);
    close(d)
}

/// Whether an installation that ended in an error can have erased anything: a cloud that shows the image from before
/// again found no host that takes the new one.
fn may_have_begun(d: &Draft<'_>, op: &Operation, seen: &ObservedServer) -> bool {
    let known = d.status.image.as_ref();
    let another = op.argument.is_some() && known.is_some_and(|i| i.requested != op.argument);
    let before = known.and_then(|i| i.id.as_ref());
    !(another && before.is_some() && before == seen.image_id.as_ref())
}

/// A deed of ours that installs an image ended in a failure: no wish tries the same image again behind its back.
pub(super) fn deed_failed(d: &mut Draft<'_>, op: &Operation, seen: &ObservedServer, words: &str) {
    let text = op.argument.clone();
    let text = text.or_else(|| d.spec.image.as_ref().map(Image::text));
    // Only what ends in an error may have erased the disk.
    let erased = seen.state == ServerState::Error && may_have_begun(d, op, seen);
    let image = d.status.image.get_or_insert_default();
    image.refused.clone_from(&text);
    if erased {
        image.failed = text;
    }
    let class = seen.fault.as_ref().map_or(ErrorClass::Transient, |f| f.class);
    d.failed(class, None, words, None);
    d.memory.backoff = None;
}

/// A refusal. `true`: it is not tried again by itself.
pub(super) fn refused(d: &mut Draft<'_>, op: &Operation, error: &CloudError) -> bool {
    use ErrorClass::{Capacity, Forbidden, InvalidSpec, Quota, Unsupported};
    let secret = error.code.as_deref() == Some(Reason::SecretRefused.as_str());
    let last = matches!(
        error.class,
        InvalidSpec | Unsupported | Quota | Capacity | Forbidden
    ) && !secret;
    if last {
        give_up(d, op, error.class, error.code.as_deref(), &error.message);
    }
    last
}

/// The server is in an error state: whether the cloud installs an image on it all the same.
fn offered(facts: &AccountFacts, seen: &ObservedServer) -> bool {
    let can = facts.capabilities;
    let this_way = match seen.failed_step {
        Some(step) => step == FailedStep::Reinstall,
        // Where a cloud does not say which step failed, it installs on whatever ran once.
        None => seen.launched && !can.has(OperationKind::Retry),
    };
    this_way && can.allows(KIND, seen.state)
}

/// An installation ended in an error. The record stays where it is tried again: it counts the tries.
pub(super) fn failed(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    op: &Operation,
    seen: &ObservedServer,
) -> Progress {
    if seen.failed_step.is_some() && offered(facts, seen) {
        return Progress::Closed;
    }
    let erased = may_have_begun(d, op, seen);
    if let Some(image) = d.status.image.as_mut().filter(|_| erased) {
        image.failed = op.argument.clone();
    }
    let words = seen
        .fault
        .as_ref()
        .map_or("the server is in an error state", |f| f.message.as_str());
    let class = seen.fault.as_ref().map_or(ErrorClass::Transient, |f| f.class);
    give_up(d, op, class, None, words)
}

/// Tries an installation again that is asked for and ended in an error. It erases the disks, so it is done for no other
/// reason.
pub(super) fn again(
    d: &mut Draft<'_>,
    facts: &AccountFacts,
    seen: &ObservedServer,
    class: ErrorClass,
    fault: &str,
) -> Option<Verdict> {
    let (image, text) = asked_for(d).filter(|_| offered(facts, seen))?;
    if d.status.image.as_ref()?.refused.as_deref() == Some(&text) {
        let disk = match lost(d) {
            Some(_) => {
                "what was on the root disk is lost, and the next image that is declared is installed over it"
            }
            None => "the cloud shows the image from before: nothing was installed",
        };
        let words = format!(
            "image {text} could not be installed: {fault} ({disk}). {}",
            Reason::RebuildFailed.advice()
        );
        return Some(Verdict::Stalled(Reason::RebuildFailed, words));
    }
    if held_back(d, seen, &text).is_some() {
        // The record of the tries so far stays; nothing is under way.
        if d.status.operation.as_ref().is_some_and(|o| o.kind == KIND) {
            (d.busy, d.takes.disruption) = (false, false);
        }
        return None;
    }
    let argument = bounded(&text, LENGTH);
    let open = d.status.operation.as_ref().filter(|o| o.kind == KIND);
    let tries = open
        .filter(|o| o.argument.as_deref() == Some(&argument))
        .map_or(0, |o| o.attempt);
    if tries >= TRIES {
        // The record stays, so that nobody begins to count anew; nothing is under way.
        (d.busy, d.takes.disruption) = (false, false);
        let words = format!("image {text} was tried {TRIES} times: {fault}");
        return Some(Verdict::Stalled(Reason::RebuildFailed, words));
    }
    if let Some(reason) = d.gagged(facts) {
        return Some(account::held(d, reason, fault));
    }
    match present::not_now(d, facts, seen, KIND, fault) {
        None => {}
        Some(Verdict::Keep) => {
            let words = format!("{fault} {}", d.next_try());
            return Some(Verdict::Reconciling(Reason::RetryingStep, words));
        }
        Some(other) => return Some(other),
    }
    send(d, facts, seen, image, &text);
    // The wait before the next try.
    d.failed(class, None, fault, None);
    let words = format!("{fault} {}", d.next_try());
    Some(Verdict::Reconciling(Reason::RetryingStep, words))
}
