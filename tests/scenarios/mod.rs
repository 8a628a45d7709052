//! Scenarios that are told once and played on two stages: simulators in virtual time, and the real parts.
#![allow(dead_code, reason = "each stage plays its own part of it")]

pub mod cluster;
pub mod common;
pub mod deeds;
pub mod dice;
pub mod groups;
pub mod nova;
pub mod outside;
pub mod power;
pub mod settings;
pub mod stage;
pub mod states;

/// Calls a macro with the module and the name of every scenario that is played on both stages, side by side with
/// others. The longest come first.
#[macro_export]
macro_rules! for_each_scenario {
    ($callback:ident) => {
        $callback! {
            outside::power_from_outside_under_every_policy,
            outside::a_deletion_from_outside_under_every_policy,
            common::create_to_ready,
            common::stop_and_start,
            deeds::every_deed_is_done_once,
            deeds::what_only_administrators_may_do,
            states::a_declared_lock_is_ours_to_open,
            states::rescue_is_entered_and_left,
            power::every_power_state_leads_to_every_other_one,
            settings::settings_are_changed_in_place,
            settings::security_groups_come_and_go_one_by_one,
            settings::interfaces_come_and_go,
            settings::a_volume_that_is_not_to_be_had_is_said,
            settings::what_counts_only_at_first_is_shown,
            common::a_stop_that_never_ends_is_a_stop_timeout,
            common::resize_while_running,
            common::resize_while_stopped,
            common::a_resize_that_breaks_is_reverted,
            common::a_size_that_fits_nowhere_is_given_up,
            common::a_stop_from_outside_is_put_back,
            common::deletion_takes_the_server_along,
            common::an_orphan_stays_without_our_marks,
            common::an_existing_server_is_imported,
            common::names_that_contain_each_other_are_two_servers,
            common::a_stranger_of_the_same_name_is_never_touched,
            common::no_room_is_shown_and_cured_without_an_edit,
            common::no_room_is_held,
            common::a_used_up_quota_is_shown_and_cured_without_an_edit,
            common::a_wrong_password_is_shown_and_cured_by_the_secret,
            common::what_does_not_exist_is_an_invalid_spec,
            outside::a_server_of_an_earlier_object_is_named_and_left_alone,
            outside::a_server_of_an_earlier_object_is_taken_over_by_its_id,
            groups::groups_place_their_members,
        }
    };
}
