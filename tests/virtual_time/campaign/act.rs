//! The scenarios of the campaign, in words that fit every cloud: what is there before, what is wished, what it leads to.

use evenkeel::api::server::PowerWish;
use evenkeel::api::server_status::{LockState, OperationKind};
use evenkeel::api::{Server, ServerGroup};
use evenkeel::planner::model::ServerState;
use k8s_openapi::api::core::v1::Secret;
use kube::api::DeleteParams;
use serde_json::{Value, json};

use super::plan::Call;
use crate::matrix::clouds::Cloud;
use crate::matrix::field::Field;
use crate::scenarios::cluster::{merge, power_of, ready};
use crate::scenarios::deeds;

/// The one Server of most scenarios.
const WEB: &str = "web";

/// A scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A server is made.
    Create,
    /// One that is to be stopped is made.
    CreateStopped,
    /// A running server is stopped.
    Stop,
    /// A stopped server is started.
    Start,
    /// A running server is stopped, and before that has ended it is to run again.
    Waver,
    /// A running server is restarted by a token.
    Restart,
    /// A server is restarted by a ServerAction.
    Deed,
    /// An image is made of it by a ServerAction.
    DeedImage,
    /// A backup is made of it by a ServerAction.
    DeedBackup,
    /// A backup is made of its disk by a ServerAction.
    DeedBackupDisk,
    /// Its password is set by a ServerAction.
    DeedPassword,
    /// It is installed anew by a ServerAction.
    DeedReinstall,
    /// It is moved to another host by a ServerAction.
    DeedMigrate,
    /// Its pending size is brought about by a ServerAction.
    DeedResize,
    /// Its console is read by a ServerAction.
    DeedConsole,
    /// A server is locked.
    Lock,
    /// A lock is dropped.
    Unlock,
    /// A locked server is stopped: the lock is opened and closed again.
    LockedStop,
    /// A locked server is deleted.
    LockedDelete,
    /// A server is put into rescue mode.
    Rescue,
    /// It leaves rescue mode.
    Unrescue,
    /// A server in rescue mode is deleted.
    RescuedDelete,
    /// A server is suspended.
    Suspend,
    /// A suspended server runs again.
    Resume,
    /// A server is taken off its host.
    Shelve,
    /// A shelved server runs again.
    Unshelve,
    /// A shelved server is deleted.
    ShelvedDelete,
    /// A running server gets another size.
    Resize,
    /// A stopped server gets another size.
    ResizeStopped,
    /// A server gets another name.
    Rename,
    /// A server is installed anew from another image.
    Rebuild,
    /// A running server is deleted.
    Delete,
    /// A stopped server is deleted.
    DeleteStopped,
    /// A server is deleted as soon as it was wished for.
    DeleteWhileMade,
    /// The object goes, the server stays.
    Orphan,
    /// A Server is deleted, and one of the same name made as soon as it is gone.
    Again,
    /// Somebody stops a server that is to run.
    StoppedOutside,
    /// Somebody deletes a server that is to be made again.
    DeletedOutside,
    /// A server that somebody made is taken over.
    Import,
    /// The wish is changed while the object is paused.
    Paused,
    /// The Secret is written again, and a server stopped meanwhile.
    Rotate,
    /// Two servers are made at once.
    Two,
    /// A group with two members is made.
    Group,
    /// One wish stops all members.
    GroupStop,
    /// A group and its members go.
    GroupDelete,
    /// Both members of a group get another size, of which one may be down at a time.
    GroupTurns,
}

use Act::*;

impl Act {
    /// Every scenario.
    pub const ALL: &[Self] = &[
        Create,
        CreateStopped,
        Stop,
        Start,
        Waver,
        Restart,
        Deed,
        DeedImage,
        DeedBackup,
        DeedBackupDisk,
        DeedPassword,
        DeedReinstall,
        DeedMigrate,
        DeedResize,
        DeedConsole,
        Lock,
        Unlock,
        LockedStop,
        LockedDelete,
        Rescue,
        Unrescue,
        RescuedDelete,
        Suspend,
        Resume,
        Shelve,
        Unshelve,
        ShelvedDelete,
        Resize,
        ResizeStopped,
        Rename,
        Rebuild,
        Delete,
        DeleteStopped,
        DeleteWhileMade,
        Orphan,
        Again,
        StoppedOutside,
        DeletedOutside,
        Import,
        Paused,
        Rotate,
        Two,
        Group,
        GroupStop,
        GroupDelete,
        GroupTurns,
    ];

    /// Whether a cloud has what it needs.
    pub fn fits(self, cloud: &dyn Cloud) -> bool {
        let can = cloud.capabilities();
        match self {
            Restart => !can.restart_modes.is_empty(),
            _ if self.deed().is_some() => {
                self.can_be_asked(cloud) && (self != DeedResize || cloud.sizes().is_some())
            }
            Lock | Unlock | LockedStop | LockedDelete => can.has(OperationKind::Lock),
            Rescue | Unrescue | RescuedDelete => can.has(OperationKind::Rescue),
            Suspend | Resume => can.power_states.contains(&PowerWish::Suspended),
            Shelve | Unshelve | ShelvedDelete => can.power_states.contains(&PowerWish::Shelved),
            Resize | ResizeStopped => can.allows(OperationKind::Resize, ServerState::Stopped),
            Rename => crate::matrix::rename(cloud).is_ok(),
            Rebuild => can.has(OperationKind::Rebuild),
            Group | GroupStop | GroupDelete => can.groups.is_some(),
            GroupTurns => can.groups.is_some() && can.has(OperationKind::Resize),
            _ => true,
        }
    }

    /// How often each change may be carried out, whatever an undisturbed run does: a wish that is taken back may be seen or not.
    pub const fn may_ask(self) -> usize {
        match self {
            Waver | DeleteWhileMade => 1,
            // Labels are taken off by a call that does the same twice.
            Orphan => 3,
            _ => 0,
        }
    }

    /// Whether its members are down in turns.
    pub const fn takes_turns(self) -> bool {
        matches!(self, GroupTurns)
    }

    /// Whether somebody else changes the cloud in it.
    pub const fn has_strangers(self) -> bool {
        matches!(self, StoppedOutside | DeletedOutside | Import)
    }

    /// Brings a world to where it begins.
    pub async fn prepare(self, f: &Field) {
        let stopped =
            matches!(self, Start | ResizeStopped | DeleteStopped) || self.deed_needs_a_stop(&*f.cloud);
        let more = match self {
            Create | CreateStopped | DeleteWhileMade | Two | Group => return,
            Import => {
                f.cloud.by_hand("theirs");
                return;
            }
            GroupStop | GroupDelete => {
                pair(f).await;
                return self.both(f, "Running").await;
            }
            GroupTurns => {
                let (first, _) = turned(&*f.cloud);
                pair_of(
                    f,
                    json!({"size": {"name": first}, "resize": {"when": "StopIfNeeded"}}),
                )
                .await;
                return self.both(f, "Running").await;
            }
            Delete | Again => with_its_disks(&*f.cloud),
            Orphan => json!({"deletionPolicy": "Orphan"}),
            DeletedOutside => json!({"onMissing": "Recreate"}),
            Resize => json!({"resize": {"when": "StopIfNeeded"}}),
            Rebuild => json!({"rebuild": {"when": "OnImageChange"}}),
            Unlock | LockedStop | LockedDelete => json!({"locked": {"reason": "payroll"}}),
            Unrescue | RescuedDelete => json!({"rescue": {}}),
            Resume => json!({"powerState": "Suspended"}),
            Unshelve | ShelvedDelete => json!({"powerState": "Shelved"}),
            _ if stopped => json!({"powerState": "Stopped"}),
            _ => self.deed_spec(),
        };
        f.create(WEB, more).await;
        let power = match self {
            Unrescue | RescuedDelete => "Rescued",
            Resume => "Suspended",
            Unshelve | ShelvedDelete => "Shelved",
            _ if stopped => "Stopped",
            _ => "Running",
        };
        f.ready_in(WEB, power).await;
        if matches!(self, Unlock | LockedStop | LockedDelete) {
            locked(f, power).await;
        }
        if self == DeedResize {
            let (_, other) = f.cloud.sizes().unwrap();
            f.edit(WEB, json!({"size": {"name": other}})).await;
        }
        if self == Paused {
            annotate(f, json!("true")).await;
        }
    }

    /// Says the wish.
    pub async fn begin(self, f: &Field) {
        let power = |state: &str| json!({ "powerState": state });
        match self {
            Create => drop(f.create(WEB, json!({})).await),
            DeleteWhileMade => drop(f.create(WEB, with_its_disks(&*f.cloud)).await),
            CreateStopped => drop(f.create(WEB, power("Stopped")).await),
            Stop => drop(f.edit(WEB, power("Stopped")).await),
            Start => drop(f.edit(WEB, power("Running")).await),
            Waver => {
                f.edit(WEB, power("Stopped")).await;
                f.edit(WEB, power("Running")).await;
            }
            Restart => drop(f.edit(WEB, json!({"restart": {"token": "1"}})).await),
            Deed | DeedImage | DeedBackup | DeedBackupDisk | DeedPassword | DeedReinstall | DeedMigrate
            | DeedResize | DeedConsole => {
                deeds::ask(f, "now", WEB, self.deed().unwrap()).await;
            }
            Lock => drop(f.edit(WEB, json!({"locked": {"reason": "payroll"}})).await),
            Unlock => drop(f.edit(WEB, json!({"locked": null})).await),
            LockedStop => drop(f.edit(WEB, power("Stopped")).await),
            Rescue => drop(f.edit(WEB, json!({"rescue": {}})).await),
            Unrescue => drop(f.edit(WEB, json!({"rescue": null})).await),
            Suspend => drop(f.edit(WEB, power("Suspended")).await),
            Shelve => drop(f.edit(WEB, power("Shelved")).await),
            Resume | Unshelve => drop(f.edit(WEB, power("Running")).await),
            Resize | ResizeStopped => {
                let (_, other) = f.cloud.sizes().unwrap();
                f.edit(WEB, json!({"size": {"name": other}})).await;
            }
            Rename => drop(f.edit(WEB, json!({"cloudName": "renamed"})).await),
            Rebuild => drop(f.edit(WEB, f.cloud.other_image()).await),
            Delete | DeleteStopped | Orphan | Again | LockedDelete | RescuedDelete | ShelvedDelete => {
                f.delete(WEB).await;
            }
            StoppedOutside => f.cloud.stop(&f.servers()[0].id),
            DeletedOutside => f.cloud.delete(&f.servers()[0].id),
            Import => {
                let id = f.servers()[0].id.clone();
                let spec = json!({"import": {"id": id}, "powerState": "Stopped", "deletionPolicy": "Orphan"});
                f.create(WEB, spec).await;
            }
            Paused => {
                f.edit(WEB, power("Stopped")).await;
                annotate(f, Value::Null).await;
            }
            Rotate => {
                let data =
                    json!({"stringData": f.cloud.secret(true), "metadata": {"labels": {"rotated": "yes"}}});
                f.patch::<Secret>("cloud", data).await;
                f.edit(WEB, power("Stopped")).await;
            }
            Two => {
                for name in ["a", "b"] {
                    f.create(name, json!({})).await;
                }
            }
            Group => pair(f).await,
            GroupStop => drop(
                f.patch::<ServerGroup>("g", json!({"spec": power("Stopped")}))
                    .await,
            ),
            GroupTurns => {
                let (_, other) = turned(&*f.cloud);
                for name in ["a", "b"] {
                    f.edit(name, json!({"size": {"name": other}})).await;
                }
            }
            GroupDelete => {
                let params = DeleteParams::default();
                f.api::<ServerGroup>().delete("g", &params).await.unwrap();
                for name in ["a", "b"] {
                    f.delete(name).await;
                }
            }
        }
        if self == DeleteWhileMade {
            f.delete(WEB).await;
        }
    }

    /// Waits until it is fulfilled. May be asked again after a controller died meanwhile.
    pub async fn fulfilled(self, f: &Field) {
        match self {
            Create | Start | Waver | Unrescue | Resume | Unshelve => drop(f.ready_in(WEB, "Running").await),
            StoppedOutside => {
                let asked = || {
                    f.cloud
                        .requests()
                        .iter()
                        .any(|r| r.applied && Call::of(r).changes())
                };
                f.until("it is put back", |all| {
                    all.iter().all(|s| s.power == "Running") && asked()
                })
                .await;
                f.wait(WEB, "Ready with nothing under way", |x| {
                    ready(x) && power_of(x) == "Running" && x.status.as_ref().unwrap().operation.is_none()
                })
                .await;
            }
            CreateStopped | Stop | Import | Paused | Rotate => drop(f.ready_in(WEB, "Stopped").await),
            Restart => {
                f.wait(WEB, "the restart is done", |x| {
                    let restart = x.status.as_ref().and_then(|s| s.restart.as_ref());
                    ready(x) && restart.is_some_and(|r| r.token == "1" && r.outcome != "Restarting")
                })
                .await;
            }
            Deed | DeedImage | DeedBackup | DeedBackupDisk | DeedPassword | DeedReinstall | DeedMigrate
            | DeedResize | DeedConsole => {
                deeds::ended(f, "now").await;
                let stopped = self.deed_needs_a_stop(&*f.cloud);
                f.ready_in(WEB, if stopped { "Stopped" } else { "Running" }).await;
            }
            Lock => locked(f, "Running").await,
            LockedStop => locked(f, "Stopped").await,
            Unlock => {
                f.wait(WEB, "Ready without a lock", |x| {
                    ready(x) && x.status.as_ref().unwrap().lock.is_none()
                })
                .await;
            }
            Rescue => drop(f.ready_in(WEB, "Rescued").await),
            Suspend => drop(f.ready_in(WEB, "Suspended").await),
            Shelve => drop(f.ready_in(WEB, "Shelved").await),
            Resize | ResizeStopped => {
                let (_, other) = f.cloud.sizes().unwrap();
                f.wait(WEB, "Ready in the other size", |x| {
                    let size = x.status.as_ref().and_then(|s| s.size.as_deref());
                    ready(x) && size == Some(other) && x.status.as_ref().unwrap().operation.is_none()
                })
                .await;
            }
            Rename => {
                f.ready_in(WEB, "Running").await;
                f.until("the other name", |all| all.iter().any(|s| s.name == "renamed"))
                    .await;
                f.ready_in(WEB, "Running").await;
            }
            Rebuild => {
                f.wait(WEB, "Ready and installed", |x| ready(x) && installed(x))
                    .await;
            }
            Delete | DeleteStopped | DeleteWhileMade | Orphan | LockedDelete | RescuedDelete
            | ShelvedDelete => {
                f.gone(WEB).await;
            }
            Again => {
                // The second one is made by whoever sees first that the first one is gone.
                if f.api::<Server>()
                    .get_opt(WEB)
                    .await
                    .unwrap()
                    .is_none_or(|x| x.metadata.deletion_timestamp.is_some())
                {
                    f.gone(WEB).await;
                    f.create(WEB, json!({})).await;
                }
                f.ready_in(WEB, "Running").await;
            }
            DeletedOutside => {
                let before = |x: &Server| !x.status.as_ref().unwrap().previous_ids.is_empty();
                f.wait(WEB, "Ready and made again", |x| {
                    ready(x) && power_of(x) == "Running" && before(x)
                })
                .await;
            }
            Two | Group => self.both(f, "Running").await,
            GroupTurns => {
                let (_, other) = turned(&*f.cloud);
                for name in ["a", "b"] {
                    f.wait(name, "Ready in the other size", |x| {
                        let size = x.status.as_ref().and_then(|s| s.size.as_deref());
                        ready(x)
                            && size == Some(other)
                            && power_of(x) == "Running"
                            && x.status.as_ref().unwrap().operation.is_none()
                    })
                    .await;
                }
                crate::scenarios::groups::ready(f, "g").await;
            }
            GroupStop => self.both(f, "Stopped").await,
            GroupDelete => {
                for name in ["a", "b"] {
                    f.gone(name).await;
                }
                crate::scenarios::groups::gone(f, "g").await;
            }
        }
    }

    /// Power of each server that is left in the end.
    pub fn leaves(self, cloud: &dyn Cloud) -> &'static [&'static str] {
        match self {
            Delete | DeleteStopped | DeleteWhileMade | GroupDelete => &[],
            LockedDelete | RescuedDelete | ShelvedDelete => &[],
            Rescue => &["RESCUE"],
            Suspend => &["SUSPENDED"],
            Shelve => &["SHELVED_OFFLOADED"],
            _ if self.deed_needs_a_stop(cloud) => &["Stopped"],
            LockedStop | CreateStopped | Stop | ResizeStopped | Import | Paused | Rotate => &["Stopped"],
            Two | Group | GroupTurns => &["Running", "Running"],
            GroupStop => &["Stopped", "Stopped"],
            _ => &["Running"],
        }
    }

    async fn both(self, f: &Field, power: &str) {
        for name in ["a", "b"] {
            f.ready_in(name, power).await;
        }
        if self != Two {
            crate::scenarios::groups::ready(f, "g").await;
        }
    }
}

/// A group of two, the members first.
async fn pair(f: &Field) {
    pair_of(f, json!({})).await;
}

/// The same, and what else its members say.
async fn pair_of(f: &Field, more: Value) {
    for name in ["a", "b"] {
        let mut spec = json!({"groupRef": {"name": "g"}});
        merge(&mut spec, more.clone());
        f.create(name, spec).await;
    }
    let placement = json!({"placement": {"policy": "SoftAntiAffinity"}});
    crate::scenarios::groups::make(f, "g", placement).await;
}

/// The disks go with the server, where the cloud keeps them; the bystander shows whether it does.
fn with_its_disks(cloud: &dyn Cloud) -> Value {
    if cloud.disks() > 0 {
        json!({"deletion": {"disks": "DeleteOwned"}})
    } else {
        json!({})
    }
}

/// From which size to which one a member has to be stopped: where a running server grows, it has to be to shrink.
fn turned(cloud: &dyn Cloud) -> (&'static str, &'static str) {
    let (small, big) = cloud.sizes().unwrap();
    if cloud.capabilities().live_resize {
        (big, small)
    } else {
        (small, big)
    }
}

/// Waits until it has our lock, at rest.
async fn locked(f: &Field, power: &str) {
    f.wait(WEB, "Ready and locked", |x| {
        let lock = x.status.as_ref().and_then(|s| s.lock.as_ref());
        ready(x) && power_of(x) == power && lock.is_some_and(|l| l.ours && l.state == LockState::Held)
    })
    .await;
}

async fn annotate(f: &Field, paused: Value) {
    let patch = json!({"metadata": {"annotations": {"evenkeel.dev/paused": paused}}});
    f.patch::<Server>(WEB, patch).await;
}

fn installed(server: &Server) -> bool {
    let status = server.status.as_ref().unwrap();
    let asked = server.spec.image.as_ref().map(evenkeel::api::server::Image::text);
    let requested = status.image.as_ref().and_then(|i| i.requested.clone());
    status.operation.is_none() && requested.is_some() && requested == asked
}
