//! Scenarios that are told once and played on two stages: simulators in virtual time, and the real parts.
#![allow(dead_code, reason = "each stage plays its own part of it")]

pub mod common;
pub mod groups;
pub mod nova;
pub mod stage;

/// Calls a macro with the name of every scenario that is played on both stages, side by side with others.
#[macro_export]
macro_rules! for_each_scenario {
    ($callback:ident) => {
        $callback! {
            create_to_ready,
            stop_and_start,
            a_stop_that_never_ends_is_a_stop_timeout,
            resize_while_running,
            resize_while_stopped,
            a_resize_that_breaks_is_reverted,
            a_size_that_fits_nowhere_is_given_up,
            a_stop_from_outside_is_put_back,
            deletion_takes_the_server_along,
            an_orphan_stays_without_our_marks,
            an_existing_server_is_imported,
            names_that_contain_each_other_are_two_servers,
            a_stranger_of_the_same_name_is_never_touched,
            no_room_is_shown_and_cured_without_an_edit,
            no_room_is_held,
            a_used_up_quota_is_shown_and_cured_without_an_edit,
            a_wrong_password_is_shown_and_cured_by_the_secret,
            what_does_not_exist_is_an_invalid_spec,
            groups_place_their_members,
        }
    };
}
