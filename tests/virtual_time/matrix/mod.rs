//! Every scenario on every provider, from one table. A cell is a test; a blank cell has its reason.

mod changes;
pub mod clouds;
mod contract;
mod deeds;
pub mod field;
mod grouped;
mod later_upcloud;
mod members;
mod only_clouddc;
mod only_openstack;
mod only_upcloud;
mod own_deeds;
mod placement;
mod scenarios;
mod special;
mod turns;

use std::sync::Arc;

use evenkeel::api::server::ServerSpec;
use evenkeel::api::server_status::OperationKind;
use evenkeel::planner::model::ServerState;
use evenkeel::sim::apiserver::ApiServer;
use serde_json::{Value, json};

use clouds::Cloud;
use field::Field;

use crate::scenarios::cluster::merge;

/// What a scenario needs of a cloud; the words say what is missing where it is not there.
type Need = fn(&dyn Cloud) -> Result<(), &'static str>;

fn nothing(_: &dyn Cloud) -> Result<(), &'static str> {
    Ok(())
}

fn restart(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(
        !cloud.capabilities().restart_modes.is_empty(),
        "the cloud cannot restart",
    )
}

fn resize(cloud: &dyn Cloud) -> Result<(), &'static str> {
    let can = cloud.capabilities();
    needs(
        can.allows(OperationKind::Resize, ServerState::Stopped),
        "the cloud has no resize",
    )
}

fn cold_resize(cloud: &dyn Cloud) -> Result<(), &'static str> {
    let can = cloud.capabilities();
    needs(
        resize(cloud).is_ok() && !can.resize_stops_by_itself && !can.resize_confirm,
        "we do not stop a server for its resize",
    )
}

fn live_resize(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(
        cloud.capabilities().live_resize,
        "no running server of the cloud grows",
    )
}

fn retry(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(
        cloud.capabilities().has(OperationKind::Retry),
        "what failed is made anew, the cloud does not try it again",
    )
}

/// Whether something of a spec is changed on an existing server.
fn changes(cloud: &dyn Cloud, spec: Value, value: &str) -> bool {
    let mut whole = json!({"providerConfigRef": {"name": "cloud"}});
    merge(&mut whole, spec);
    let spec: ServerSpec = serde_json::from_value(whole).unwrap();
    let can = cloud.capabilities();
    can.has(OperationKind::Modify) && (can.attributes)(&spec).iter().any(|w| w.value.contains(value))
}

pub fn rename(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(
        changes(cloud, json!({"cloudName": "renamed"}), "renamed"),
        "no name is changed on an existing server",
    )
}

fn labels(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(
        changes(cloud, json!({"labels": {"a": "changed"}}), "changed"),
        "no label is changed on an existing server",
    )
}

fn groups(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(cloud.capabilities().groups.is_some(), "the cloud has no groups")
}

fn movable_members(cloud: &dyn Cloud) -> Result<(), &'static str> {
    let groups = cloud.capabilities().groups;
    needs(
        groups.is_some_and(|can| can.members_mutable),
        "no server joins or leaves a group later",
    )
}

fn lacks_a_policy(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(grouped::lacking(cloud).is_some(), "the cloud has every policy")
}

fn password(cloud: &dyn Cloud) -> Result<(), &'static str> {
    let reference = json!({"adminPasswordSecretRef": {"name": "secret", "key": "key"}});
    needs(
        changes(cloud, reference, "secret/key"),
        "no password is set on an existing server",
    )
}

fn network(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(
        cloud.other_network().is_some(),
        "no network is changed on an existing server",
    )
}

fn reinstall(cloud: &dyn Cloud) -> Result<(), &'static str> {
    rebuild(cloud).and(retry(cloud))
}

fn rebuild(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(
        cloud.capabilities().has(OperationKind::Rebuild),
        "no image is installed on an existing server",
    )
}

fn lacks_images(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(
        !cloud.capabilities().has(OperationKind::CreateImage),
        "images are made of servers",
    )
}

fn parts(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(
        cloud.capabilities().has(OperationKind::DeletePart),
        "no disk is left when its server is gone",
    )
}

fn part_marks(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(
        cloud.capabilities().has(OperationKind::UnmarkPart),
        "disks carry no marks of their own",
    )
}

fn hosts(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(cloud.avoid("1").is_some(), "nobody says where a server runs")
}

fn many_servers(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(cloud.sizes().is_some(), "there are not so many machines")
}

fn told(cloud: &dyn Cloud) -> Result<(), &'static str> {
    needs(cloud.tells().is_some(), "the cloud tells no password")
}

const fn needs(there: bool, missing: &'static str) -> Result<(), &'static str> {
    if there { Ok(()) } else { Err(missing) }
}

/// A fresh cloud whose clock is that of the cluster.
pub type Fresh = fn(&ApiServer) -> Arc<dyn Cloud>;

/// The providers. Another one is a line here and its name in `all!`.
pub const PROVIDERS: &[(&str, Fresh)] = &[
    ("openstack", clouds::openstack::fresh),
    ("upcloud", clouds::upcloud::fresh),
    ("clouddc", clouds::clouddc::fresh),
];

fn fresh(provider: &str, api: &ApiServer) -> Arc<dyn Cloud> {
    let (_, make) = PROVIDERS.iter().find(|(name, _)| *name == provider).unwrap();
    make(api)
}

macro_rules! cells {
    ($provider:ident: $($scenario:ident)*) => {
        mod $provider {
            $(
                #[tokio::test(start_paused = true)]
                async fn $scenario() {
                    let api = super::ApiServer::new().unwrap();
                    let cloud = super::fresh(stringify!($provider), &api);
                    if super::blank(&*cloud, stringify!($scenario)).is_some() {
                        return;
                    }
                    let mut field = super::Field::new(cloud, api).await;
                    super::scenarios::$scenario(&mut field).await;
                    field.judge().await;
                }
            )*
        }
    };
}

macro_rules! all {
    ($($provider:ident),*; $($scenario:ident: $need:ident),* $(,)?) => {
        const ROWS: &[(&str, &str, Need)] = &[$((stringify!($scenario), stringify!($need), $need)),*];
        all!(@each [$($provider)*] ($($scenario)*));
    };
    (@each [$($provider:ident)*] $scenarios:tt) => {
        $(all!(@one $provider $scenarios);)*
    };
    (@one $provider:ident ($($scenario:ident)*)) => {
        cells! { $provider: $($scenario)* }
    };
}

all! {
    openstack, upcloud, clouddc;
    create_to_ready: nothing,
    created_stopped: nothing,
    stop_and_start: nothing,
    restart_by_token: restart,
    a_stop_that_never_ends_is_a_stop_timeout: nothing,
    resize_while_running: resize,
    resize_while_stopped: resize,
    a_smaller_size_waits_for_the_stop: resize,
    a_stop_from_outside_is_put_back: nothing,
    a_start_from_outside_is_put_back: nothing,
    a_stop_from_outside_is_respected: nothing,
    a_stop_from_outside_is_only_shown: nothing,
    a_deletion_from_outside_is_missing: nothing,
    a_deletion_from_outside_is_made_good: nothing,
    deletion_takes_the_server_along: nothing,
    deletion_while_it_is_made: nothing,
    an_orphan_stays: nothing,
    an_existing_server_is_imported: nothing,
    two_imports_of_one_server_have_one_owner: nothing,
    names_that_contain_each_other_are_two_servers: nothing,
    a_stranger_of_the_same_name_is_never_touched: nothing,
    an_earlier_incarnation_is_named_and_left_alone: nothing,
    no_room_is_shown_and_cured_without_an_edit: nothing,
    what_the_cloud_refuses_is_an_invalid_spec: nothing,
    wrong_credentials_are_shown_and_cured_by_the_secret: nothing,
    a_lost_reply_makes_no_second_server: nothing,
    a_creation_that_comes_late_makes_no_second_server: nothing,
    a_creation_that_is_not_answered_is_tried_again: nothing,
    the_cloud_away_for_a_minute_in_every_operation: nothing,
    killed_in_every_operation: nothing,
    replies_that_cannot_be_read_lose_nothing: nothing,
    a_reply_to_a_creation_that_cannot_be_read_makes_no_second_server: nothing,
    a_list_of_many_pages_is_complete: many_servers,
    what_somebody_deleted_is_let_go_without_a_word: nothing,
    a_restart_is_one_request_and_no_drift: restart,
    a_deed_restarts_once: restart,
    a_deed_waits_for_the_operation_that_is_under_way: restart,
    a_deed_installs_anew_once: rebuild,
    a_deed_that_the_cloud_lacks_is_unsupported: lacks_images,
    a_running_server_grows_without_a_stop: live_resize,
    a_size_that_does_not_start_goes_back: cold_resize,
    a_provisioning_that_failed_is_tried_again: retry,
    a_try_that_is_refused_makes_way_for_a_new_server: retry,
    a_changed_name_is_applied: rename,
    changed_labels_are_applied_and_others_survive: labels,
    a_change_of_labels_gone_wrong_is_made_good: labels,
    a_changed_image_is_only_shown_by_default: nothing,
    a_changed_image_is_installed_once: rebuild,
    an_image_that_cannot_be_installed_is_left: reinstall,
    killed_while_an_image_is_installed: rebuild,
    another_password_is_set: password,
    another_network_is_applied: network,
    a_network_that_is_refused_leaves_the_old_one: network,
    disks_stay_and_are_named: parts,
    disks_of_ours_go_when_asked_for: parts,
    disks_of_an_orphan_lose_their_marks: part_marks,
    what_a_vanished_server_had_is_named: parts,
    a_host_to_avoid_counts_at_the_next_start: hosts,
    a_password_that_is_told_lands_in_its_secret: told,
    a_password_whose_reply_was_lost_is_lost: told,
    a_password_whose_secret_cannot_be_written_is_lost: told,
    a_group_outlives_its_members: groups,
    counts_of_a_group_are_right_within_one_observation: nothing,
    one_power_wish_for_all_members: nothing,
    one_member_is_restarted_at_a_time: restart,
    few_members_are_restarted_at_once: restart,
    few_members_are_resized_at_once: resize,
    groups_at_rest_cost_one_list_per_interval: groups,
    a_deletion_that_is_blocked_is_told_once_and_survives_a_kill: groups,
    a_lost_reply_makes_no_second_group: groups,
    a_group_is_left_and_taken_over: groups,
    a_strict_group_without_room_is_cured_by_a_host: groups,
    a_wish_for_placement_that_is_not_met_is_shown: groups,
    a_policy_that_the_cloud_lacks_is_unsupported: lacks_a_policy,
    a_group_is_changed_where_it_can_be: groups,
    a_member_joins_and_leaves_where_it_can: groups,
    a_server_goes_from_group_to_group: movable_members,
    a_foreign_member_is_shown_and_left: groups,
    killed_while_a_group_is_made_and_deleted: groups,
    the_cloud_away_while_a_group_is_made_and_deleted: groups,
}

/// Why a scenario cannot be played on a cloud, if so.
fn blank(cloud: &dyn Cloud, scenario: &str) -> Option<&'static str> {
    let (_, _, need) = ROWS.iter().find(|(name, ..)| *name == scenario).unwrap();
    need(cloud).err()
}

#[tokio::test(start_paused = true)]
async fn the_matrix() {
    let api = ApiServer::new().unwrap();
    let clouds: Vec<_> = PROVIDERS.iter().map(|(_, make)| make(&api)).collect();
    let mut text = String::from("| scenario |");
    for cloud in &clouds {
        text += &format!(" {} |", cloud.name());
    }
    text += "\n| --- |";
    text += &" --- |".repeat(clouds.len());
    let mut played = 0;
    for (scenario, ..) in ROWS {
        text += &format!("\n| {} |", scenario.replace('_', " "));
        for cloud in &clouds {
            let cell = blank(&**cloud, scenario);
            played += usize::from(cell.is_none());
            text += &format!(" {} |", cell.unwrap_or("played"));
        }
    }
    println!(
        "{text}\n{played} of {} cells are played",
        ROWS.len() * clouds.len()
    );
    // The rows that need nothing are played everywhere.
    let free = ROWS.iter().filter(|(_, need, _)| *need == "nothing").count();
    assert!(played >= free * clouds.len());
}
