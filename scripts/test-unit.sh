#!/usr/bin/env bash
# Runs the unit tests, and the tests of tests/it/ that need no service (broker, PostgreSQL, Prometheus) and no SDK of
# another language. A group that needs one is in the list below; tests/it/documents/make.rs checks the names.
set -euo pipefail
cd "$(dirname "$0")/.."

# The variables of a shell with services would not harm, but these tests do not use them.
unset AMQP_URL AMQP_MANAGEMENT_URL DATABASE_URL

services=(
  broker_hosts::
  compose::the_stack_of_docker_compose
  e2e_rabbitmq::
  files::bounds::
  files::export_shapes::
  files::quotes::random_texts
  files::workbooks::
  gauges::
  ledger_contract::on_postgresql::
  ledger_contract::postgres::
  ledger_contract::sqlstates::
  ledger_contract::taken_over::a_schema_of_the_sixth_edition_on_postgresql
  ledger_contract::undos::what_was_stuck_before_there_were_undos_is_tried_in_postgresql
  observability::
  oracles::
  publisher_contract::
  queue_contract::rabbitmq::
  queue_inspection::
  queue_rabbitmq::
  rows::the_spellings
  shared_lanes::
  silence::
  slow_database::
  tls::
  upgrade::
)
# A script in Python is the terminal of these tests.
terminal=(
  e2e::asking::
  e2e::columns::ids_that_several_people_have
  e2e::columns::on_a_terminal
  e2e::hostile::nothing_in_a_file
)

# These need no service, and take half of the time of all others. `make test` runs them.
long=(
  e2e::ownership::a_stopped_process
  saga::restored::
)

left_out=("${services[@]}" "${long[@]}")
if ! command -v python3 >/dev/null; then
  echo "python3 is not installed: the tests with a terminal are left out"
  left_out+=("${terminal[@]}")
fi

# A tenth of the drill's campaigns.
export DRILL_SEEDS=${DRILL_SEEDS:-20}
cargo test --lib
# More than there are processors: most of these tests wait for something.
cargo test --test it -- --test-threads=$(($(nproc) * 2)) "${left_out[@]/#/--skip=}"
