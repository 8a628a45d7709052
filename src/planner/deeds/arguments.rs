//! What goes along with the call that a deed is.

use crate::api::Reason;
use crate::api::server::RebuildWhen;
use crate::api::server_action::{Deed, ServerAction};
use crate::planner::draft::Draft;
use crate::planner::model::{Capabilities, ObservedServer, Operate, Reading};
use crate::planner::{power, rebuild};

/// The arguments. `Err`: why the deed cannot be done, now or later.
pub(super) fn of(
    d: &Draft<'_>,
    can: &Capabilities,
    seen: &ObservedServer,
    action: &ServerAction,
    deed: Deed,
) -> Result<Operate, (Reason, String)> {
    let declared = d.spec.image.as_ref();
    match deed {
        Deed::Reboot => {
            let mode = action.spec.reboot.as_ref().map(|r| r.mode).unwrap_or_default();
            if !can.restart_modes.contains(&mode) {
                let offered: Vec<_> = can.restart_modes.iter().map(|m| m.as_str()).collect();
                let text = format!(
                    "reboot.mode {mode} cannot be had from this cloud; it has {}",
                    offered.join(", ")
                );
                return Err((Reason::Unsupported, text));
            }
            let patience = d.spec.power_off.timeout.as_secs();
            let within = can.soft_stop_limit.map_or(patience, |most| patience.min(most));
            Ok(power::restart(d, can, mode, within))
        }
        Deed::ConfirmResize | Deed::RevertResize | Deed::Cancel => Ok(Operate::Plain),
        Deed::Rebuild | Deed::Reinstall => {
            let asked = action.spec.rebuild.as_ref().map(|r| &r.image);
            let follows = d.spec.rebuild.as_ref().map(|r| r.when) == Some(RebuildWhen::OnImageChange);
            if let (Some(asked), Some(declared), true) = (asked, declared, follows)
                && asked != declared
            {
                let text = format!(
                    "image {} differs from spec.image {} of the Server, which follows its spec (rebuild.when: OnImageChange)",
                    asked.text(),
                    declared.text()
                );
                return Err((Reason::NotAllowed, text));
            }
            let Some(image) = asked.or(declared) else {
                let text = "spec.image of the Server is not given".to_owned();
                return Err((Reason::NotAllowed, text));
            };
            if let Some(why) = rebuild::kept_from(d, seen) {
                return Err((Reason::NotAllowed, why.to_owned()));
            }
            Ok(rebuild::how(d, seen, image.clone()))
        }
        Deed::CreateBackup if rebuild::on_a_volume(d, seen) => {
            let text = "the root disk is a volume, of which this cloud makes no backup; createImage makes an image with \
                        snapshots of its volumes";
            Err((Reason::NotAllowed, text.to_owned()))
        }
        Deed::ConsoleOutput | Deed::RemoteConsole => Ok(Operate::Read(Box::new(Reading {
            spec: action.spec.clone(),
            action: action.metadata.name.clone().unwrap_or_default(),
            uid: action.metadata.uid.clone().unwrap_or_default(),
        }))),
        _ => Ok(Operate::Deed(Box::new(action.spec.clone()))),
    }
}
