//! What every ledger keeps to: one suite, run on each store.

mod audit;
mod backlogs;
mod books;
mod campaigns;
mod coming_back;
mod dead;
mod deciding;
mod finishing;
mod fixture;
mod held;
mod imports;
mod intake;
mod leases;
mod pace;
mod postgres;
mod sqlite;
mod sqlstates;
mod steering;
mod taken_over;
mod undos;
mod upkeep;

/// Makes a test of each of these functions for each store. Each gets an empty ledger.
macro_rules! on_every_store {
    ($($module:ident::$test:ident,)+) => {
        mod in_memory {
            $(
                #[tokio::test(start_paused = true)]
                async fn $test() {
                    let ledger = flexcast::ledger::Ledger::in_memory()
                        .expect("there is memory");
                    super::$module::$test(&ledger).await;
                }
            )+
        }
        mod in_a_file {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let folder = tempfile::tempdir().expect("a folder");
                    let file = folder.path().join("ledger.db");
                    let ledger = flexcast::ledger::Ledger::open(&file)
                        .expect("a new ledger");
                    super::$module::$test(&ledger).await;
                }
            )+
        }
        mod on_postgresql {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    use flexcast::ledger::{LeaseClock, Ledger};

                    let database = crate::support::postgres::Database::new().await;
                    // The tests choose the time.
                    let ledger = Ledger::connect_with(&database.url, LeaseClock::Caller)
                        .await
                        .expect("a new ledger");
                    super::$module::$test(&ledger).await;
                }
            )+
        }
    };
}

on_every_store! {
    audit::an_operation_is_recorded_with_its_change_and_the_counts_around_it,
    audit::an_operation_that_changes_nothing_is_not_recorded,
    audit::a_pause_of_a_scope_is_reported_with_each_renewal_until_it_ends,
    audit::what_waits_for_the_end_of_a_pause_is_woken,
    upkeep::a_probe_leaves_nothing_behind,
    upkeep::what_is_set_aside_is_over_whether_it_was_known_or_not,
    upkeep::a_damaged_message_is_named_until_it_is_taken,
    upkeep::leases_that_ran_out_end_when_their_holders_are_dead,
    upkeep::what_the_queue_lost_is_published_again_once_in_a_while,
    upkeep::what_a_broker_lost_is_published_again_at_once,
    upkeep::what_a_broker_lost_comes_back_whatever_it_was_at,
    upkeep::a_resume_is_used_up_when_lost_messages_are_published,
    upkeep::what_consumers_hold_adds_up_until_it_is_old,
    imports::a_manifest_is_kept_with_what_was_counted,
    imports::an_import_lives_as_long_as_it_shows_itself,
    imports::rows_that_were_imported_again_are_listed_as_rejected_no_more,
    campaigns::a_campaign_applied_again_keeps_its_state,
    campaigns::campaigns_are_listed_in_the_order_they_were_first_applied,
    campaigns::a_campaign_that_was_never_applied_takes_nothing,
    campaigns::a_ledger_is_bound_to_one_account_and_base,
    steering::a_pause_says_who_when_and_why_until_the_campaign_runs_again,
    steering::only_an_operator_ends_an_operators_pause,
    steering::a_renewal_reports_what_is_stopped_and_is_confirmed_by_the_next,
    steering::a_consumer_that_ended_its_right_is_waited_for_no_more,
    steering::a_campaign_with_open_messages_is_not_converted,
    steering::what_has_not_begun_is_skipped_and_the_rest_is_left,
    steering::what_a_dead_holder_had_may_stand_and_is_not_skipped,
    steering::the_waits_of_a_campaign_end,
    steering::senders_give_away_what_has_not_begun,
    intake::what_is_open_and_who_is_known_is_read_page_by_page,
    intake::one_id_and_one_address_are_each_accepted_once,
    intake::a_known_message_says_whether_somebody_brings_it,
    intake::an_imports_counts_move_with_its_messages,
    intake::each_row_of_a_file_is_found_by_its_id,
    intake::what_nobody_published_is_listed_when_its_time_has_come,
    intake::a_late_mark_does_not_hide_what_was_given_back,
    leases::a_publishers_message_is_accepted_at_its_first_delivery,
    leases::the_message_is_the_one_that_was_accepted,
    leases::an_address_has_one_message_whoever_sent_it,
    leases::of_many_takers_one_has_the_message,
    leases::a_lease_that_ran_out_is_taken_over_and_its_old_holder_refused,
    leases::a_message_is_overtaken_when_a_living_holders_lease_ran_out,
    leases::a_lease_is_released_before_it_runs_out,
    leases::a_lease_under_which_nothing_was_recorded_is_not_waited_for,
    leases::a_lease_that_nobody_took_over_is_still_good,
    leases::the_journal_comes_back_in_order,
    leases::a_message_that_is_over_stays_over,
    leases::the_leases_of_dead_holders_end,
    coming_back::a_retry_that_is_taken_late_is_no_older_for_it,
    coming_back::a_deferred_message_is_taken_when_it_is_due_and_a_little_early,
    coming_back::the_ledger_wakes_what_it_was_to_wake,
    coming_back::what_the_queue_brings_back_is_woken_only_when_it_is_late,
    coming_back::a_retry_keeps_its_failure_and_counts_its_attempt,
    coming_back::what_is_released_waits_where_it_was_left,
    pace::a_definition_is_replaced_only_as_long_as_nobody_else_has_changed_it,
    backlogs::a_backlog_is_called_up_by_age_and_no_other_with_it,
    backlogs::who_takes_a_message_is_told_where_it_was_called_up,
    backlogs::what_nobody_calls_up_comes_back_by_itself_in_the_end,
    backlogs::what_leaves_its_backlog_is_not_called_up,
    backlogs::a_campaign_applied_anew_keeps_its_backlogs,
    pace::what_a_consumer_shows_is_seen_until_it_is_old_or_taken_away,
    held::what_is_held_for_an_agent_is_recalled_for_that_agent,
    held::what_is_held_comes_back_by_itself_when_it_is_due,
    books::every_term_is_counted,
    books::the_books_of_one_campaign_are_its_own,
    books::the_books_balance_whatever_happens,
    books::refused_deliveries_are_a_term_of_their_own,
    dead::letters_are_listed_latest_first_with_the_refused_ones,
    dead::letters_are_counted_by_reason_step_and_code,
    dead::a_detail_that_a_database_cannot_read_is_counted,
    dead::ids_beside_one_are_found,
    deciding::an_unknown_that_was_sent_is_done,
    deciding::an_unknown_that_was_not_sent_goes_on_at_its_step,
    deciding::a_campaign_is_read_page_by_page,
    deciding::rejected_rows_are_read_page_by_page,
    finishing::a_campaign_finishes_by_itself_when_its_files_are_worked_off,
    finishing::a_paused_campaign_finishes_only_when_somebody_says_so,
    finishing::an_unknown_that_was_not_sent_lets_its_campaign_run_again,
    finishing::whether_anything_is_open_is_known_without_counting,
    finishing::what_the_queue_should_hold_is_told,
    finishing::the_books_of_each_campaign_are_counted_by_themselves,
    undos::a_stuck_message_stays_dead_and_its_undo_comes_due,
    undos::an_undo_that_fails_again_is_due_later_and_counted,
    undos::an_undo_that_succeeds_leaves_the_messages_own_reason,
    undos::an_undos_lease_is_fenced_as_a_turns,
    undos::what_is_left_stays_while_twilio_refuses_the_account,
}
