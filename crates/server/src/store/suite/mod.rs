//! The tests that every store must pass, written against the traits alone.
//!
//! Whoever writes a store implements [`Harness`] and calls [`store_suite!`](crate::store_suite) once: each case becomes a
//! test of its own over a fresh store. Every call is handed its moment, so no case sleeps or reads a clock.
//!
//! One thing is asked beyond the traits' words: what [`log`](super::IntakeStore::log) was handed before a write that the
//! caller waits for can be read once that write has returned.

use std::sync::Arc;

use async_trait::async_trait;

use super::Store;

// Public for the macro alone; a case's name is its sentence.
#[doc(hidden)]
pub mod accounts;
#[doc(hidden)]
pub mod administration;
#[doc(hidden)]
pub mod attempts;
#[doc(hidden)]
pub mod claims;
#[doc(hidden)]
pub mod deciding;
#[doc(hidden)]
pub mod duplicates;
#[doc(hidden)]
pub mod factors;
#[doc(hidden)]
pub mod fanout;
#[doc(hidden)]
pub mod joining;
#[doc(hidden)]
pub mod lasting;
#[doc(hidden)]
pub mod lists;
#[doc(hidden)]
pub mod resends;
mod same;
#[doc(hidden)]
pub mod secrets;
#[doc(hidden)]
pub mod sent;
#[doc(hidden)]
pub mod sessions;
#[doc(hidden)]
pub mod sums;
#[doc(hidden)]
pub mod upkeep;
#[doc(hidden)]
pub mod withdrawals;
#[doc(hidden)]
pub mod world;

pub use world::Outcome;

/// Makes stores for the cases.
#[async_trait]
pub trait Harness: Send + Sync {
    /// A fresh, empty store; a further call makes another one.
    async fn open(&self) -> Arc<dyn Store>;

    /// Closes the store and opens it again over the same data, as a restart of the process does. It is the one opened last.
    async fn reopen(&self, store: Arc<dyn Store>) -> Arc<dyn Store>;
}

/// Makes a test of each case. The argument is an expression that makes the [`Harness`]; it is evaluated once for each.
///
/// # Example: the suite over a store of one's own
///
/// ```ignore
/// struct InMyDatabase;
///
/// #[async_trait]
/// impl Harness for InMyDatabase { /* … */ }
///
/// agentflow_server::store_suite!(InMyDatabase);
/// ```
#[macro_export]
macro_rules! store_suite {
    (@cases $harness:expr; $($topic:ident { $($case:ident)* })*) => {$(
        mod $topic {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() -> $crate::store::suite::Outcome {
                    let harness = $harness;
                    $crate::store::suite::$topic::$case(&harness).await
                }
            )*
        }
    )*};
    ($harness:expr) => {
        $crate::store_suite! {
            @cases $harness;
            duplicates {
                a_body_within_the_window_is_a_duplicate_of_the_first_lead
                a_body_past_the_window_is_new
                the_window_is_the_one_asked_with
                a_body_is_unique_at_its_endpoint_alone
                a_body_counts_as_duplicate_after_its_lead_was_closed
                a_duplicate_leaves_a_log_row_with_the_first_lead
                a_key_with_the_same_body_is_a_duplicate
                a_key_with_another_body_is_refused_and_nothing_is_written
                a_key_is_forgotten_after_a_day
                a_key_is_unique_in_its_workspace_alone
                keys_differ_by_case
                a_duplicate_records_no_key
                a_known_body_counts_before_a_reused_key
                a_request_that_must_be_planned_anew_leaves_nothing
            }
            joining {
                a_new_lead_is_stored_as_it_was_planned
                fields_are_kept_to_the_byte
                a_further_submission_joins_the_open_lead
                a_lead_after_a_closed_one_is_new_and_names_it
                a_plan_on_an_older_version_is_answered_with_the_lead_as_it_is
                a_plan_on_a_lead_that_is_not_there_is_answered_with_nothing
                an_address_is_known_by_its_identity
                a_second_open_lead_is_refused_by_the_store_itself
                the_newest_submissions_are_told_back_to_a_number_of_bytes
                racing_senders_with_one_email_open_one_lead
                racing_senders_that_plan_again_all_join_it
                racing_equal_bodies_are_stored_once
                racing_bodies_with_one_key_are_stored_once
            }
            deciding {
                a_decision_is_stored_with_its_event_and_audit_row
                a_decision_on_another_version_changes_nothing
                a_decision_on_an_unknown_lead_finds_nothing
                a_decision_from_another_workspace_finds_nothing
                racing_decisions_are_stored_once
                an_older_lead_can_be_decided_while_a_newer_one_is_there
                a_second_event_of_a_type_is_refused_with_all_that_came_along
                a_decision_with_a_second_event_of_a_type_is_refused
                one_bad_write_does_not_spoil_those_beside_it
            }
            fanout {
                an_event_that_nobody_wants_is_kept
                each_enabled_destination_that_subscribes_gets_a_delivery
                a_destination_gets_only_events_made_after_it
                changed_destinations_count_as_they_are_now
                a_delivery_due_at_once_comes_back_claimed
                the_first_wait_is_the_schedules_first
                a_changed_schedule_counts_from_the_next_event
                each_workspace_has_its_own_schedule
            }
            claims {
                claims_what_is_due_oldest_due_first
                deliveries_due_at_the_same_moment_go_in_the_order_of_their_events
                claims_no_more_than_the_limit_and_nothing_twice
                racing_claims_share_what_is_due
                the_latest_are_claimed_in_order_and_the_rest_is_left
                the_latest_overtake_no_earlier_event_of_their_lead
                a_clock_set_back_does_not_turn_the_events_of_a_lead_round
                an_event_is_not_handed_out_before_an_earlier_one_that_nobody_holds
                claims_only_of_the_destination_asked_for
                a_disabled_destination_waits_and_goes_on_when_enabled
                a_released_claim_is_due_as_before
                a_claim_from_an_acceptance_can_be_released
                a_caller_that_goes_away_holds_nothing
                next_due_tells_the_earliest_unclaimed_of_each_destination
            }
            attempts {
                a_delivered_delivery_is_done
                a_failed_attempt_is_due_again_when_it_says
                attempts_are_numbered_and_listed_oldest_first
                an_attempt_without_an_answer_is_kept_as_such
                a_delivery_out_of_attempts_is_dead
                gone_disables_the_destination_at_once
                an_attempt_in_flight_after_gone_does_not_disable_again
                failing_since_is_set_by_the_first_failure_and_cleared_by_a_success
                a_destination_that_fails_too_long_is_disabled
                one_success_begins_the_hours_anew
                an_attempt_after_the_destination_was_deleted_is_recorded_alone
            }
            resends {
                a_resend_is_due_at_once_with_the_schedule_begun_anew
                a_dry_run_changes_nothing
                without_a_state_the_dead_ones_are_sent_again
                a_resend_matches_destination_event_and_type
                a_resend_while_an_attempt_is_under_way_ends_with_that_attempt
                a_resend_reaches_no_other_workspace
                a_resend_to_a_disabled_destination_waits_for_it
                deleting_a_destination_cancels_what_is_pending_and_keeps_the_rest
            }
            lists {
                every_list_is_walked_newest_first_without_gap_or_repeat
                rows_that_come_while_a_list_is_walked_do_not_disturb_it
                an_empty_list_is_one_empty_page
                leads_are_found_by_state_email_and_source
                leads_are_found_by_text
                the_audit_log_is_found_by_person_and_action
                a_filtered_list_is_paged_as_well
                the_log_has_a_row_of_each_status_and_is_found_by_it
                deliveries_are_found_by_state_destination_event_and_type
                workspaces_do_not_see_each_others_rows
            }
            sums {
                a_fresh_store_sums_to_nothing
                leads_and_decisions_are_counted_in_their_hour
                a_refused_write_is_not_counted
                a_delivery_moves_between_the_sums_of_its_own_hour
                health_is_told_of_each_destination_since_an_hour
                health_is_told_whatever_becomes_of_a_delivery
                what_the_retention_deletes_stays_counted
                scores_are_counted_of_what_arrived_since
            }
            administration {
                a_founded_workspace_has_all_it_was_founded_with
                a_workspace_is_founded_once_or_not_at_all
                settings_come_back_as_they_were_put
                a_rotated_secret_stays_until_its_overlap_is_over
                earlier_secrets_end_no_later_than_the_one_before_the_present
                a_rotated_endpoint_is_the_only_live_one
                destinations_come_back_as_they_were_put_oldest_first
                a_change_of_a_destination_leaves_the_rest_as_it_stands
                deleting_an_unknown_destination_says_so_and_leaves_no_audit_row
                audit_rows_are_told_newest_first_up_to_the_limit
            }
            accounts {
                tokens_come_back_as_they_were_put_until_they_are_deleted
                a_token_never_may_more_than_its_operator
                people_are_changed_field_by_field_within_their_workspace
                no_invitation_outlives_the_role_that_it_was_made_for
                the_last_admin_stays_one
                an_invitation_is_used_once_in_its_time_and_replaces_an_earlier_one
            }
            factors {
                a_factor_counts_once_it_is_confirmed
                a_code_is_used_once_and_none_before_it
                a_recovery_code_is_used_once
                wrong_codes_in_a_row_lock_the_factor
                a_factor_goes_with_its_codes_and_with_its_person
                with_a_factor_no_session_opens_by_the_password_alone
            }
            sessions {
                an_opened_session_comes_back_with_its_operator_as_they_are_now
                a_touched_session_was_seen_then_and_no_other
                a_sign_in_deletes_what_has_idled_and_what_is_too_old
                a_person_ends_one_session_or_all_of_their_own
                a_new_password_and_a_removal_end_every_session
                a_stale_password_opens_nothing
                a_sign_in_that_races_a_new_password_leaves_no_session
                a_password_is_put_in_place_of_the_one_that_was_given_alone
            }
            secrets {
                an_announced_secret_is_present_from_its_time_on
                a_pending_secret_that_is_dropped_leaves_the_present_one_without_an_end
                uses_of_a_secret_add_up
                everything_that_is_sealed_is_told_and_replaced_as_a_whole
            }
            withdrawals {
                only_pending_deliveries_are_cancelled_and_an_attempt_under_way_is_recorded
                a_paused_destination_gets_deliveries_and_makes_no_attempts
                failing_is_warned_of_once_at_half_of_the_time
                a_decision_supersedes_what_waits_of_its_review_request_where_that_is_set
                an_attempt_under_way_finishes_before_its_delivery_is_superseded
                what_was_given_back_without_an_attempt_is_superseded_when_it_would_be_claimed
            }
            upkeep {
                upkeep_of_a_fresh_store_has_nothing_to_do
                upkeep_forgets_no_body_and_no_key_before_its_time
                upkeep_forgets_bodies_and_keys_but_not_their_leads
                upkeep_keeps_a_body_that_came_again_after_its_window
                upkeep_follows_each_workspaces_own_window
                upkeep_forgets_secrets_past_their_end
                upkeep_forgets_old_refusals_and_no_other_log_row
                retention_deletes_closed_leads_past_it_with_all_that_is_theirs
                retention_counts_from_the_decision
                retention_waits_for_deliveries_that_are_under_way
                without_a_retention_everything_is_kept
                bodies_that_come_after_a_clearance_are_forgotten_as_well
                an_attempt_for_a_lead_that_was_deleted_is_no_error
                a_long_backlog_is_done_in_several_steps
            }
            lasting {
                everything_is_there_after_a_restart
                claims_end_with_the_process
                lists_go_on_where_they_were_after_a_restart
                log_rows_handed_over_before_the_close_are_kept
                a_store_in_order_is_writable_and_leaves_no_trace_of_the_trial
                a_closed_store_refuses_every_call
                writes_that_wait_when_the_store_is_closed_are_stored_or_refused
            }
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_that_is_written_is_run() {
        let list = include_str!("mod.rs");
        for topic in [
            include_str!("accounts.rs"),
            include_str!("administration.rs"),
            include_str!("attempts.rs"),
            include_str!("claims.rs"),
            include_str!("deciding.rs"),
            include_str!("duplicates.rs"),
            include_str!("factors.rs"),
            include_str!("fanout.rs"),
            include_str!("joining.rs"),
            include_str!("lasting.rs"),
            include_str!("lists.rs"),
            include_str!("resends.rs"),
            include_str!("secrets.rs"),
            include_str!("sessions.rs"),
            include_str!("sums.rs"),
            include_str!("upkeep.rs"),
            include_str!("withdrawals.rs"),
        ] {
            for case in topic.lines().filter_map(|line| line.strip_prefix("pub async fn ")) {
                let name = case.split('(').next().unwrap_or_default();
                assert!(
                    list.lines().any(|line| line.trim() == name),
                    "`{name}` is missing in `store_suite!`"
                );
            }
        }
    }
}
