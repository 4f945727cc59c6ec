#!/usr/bin/env bash
# Runs a command with a broker at AMQP_URL (its management API at AMQP_MANAGEMENT_URL) and a PostgreSQL server at
# DATABASE_URL: those that answer there, or new ones in a directory of their own, which are stopped and removed
# whatever the command does.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/flexcast-test-XXXXXX")
# PostgreSQL's server runs as a user of its own, who has to get at its directory in here.
chmod 711 "$dir"
# Tests that stop a service make theirs in here, so that none outlives a test that was killed.
export FLEXCAST_TEST_DIR=$dir

clean_up() {
  local env
  for env in "$dir"/*/env; do
    [ -f "$env" ] || continue
    if grep -q FLEXCAST_POSTGRES_DIR "$env"; then
      "$here/postgres.sh" stop "$(dirname "$env")" || true
    else
      "$here/broker.sh" stop "$(dirname "$env")" || true
    fi
  done
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Whether something listens at a URL's place; $2 is the port when it names none.
answers() {
  local place port
  place=${1#*://}
  place=${place##*@}
  place=${place%%[/?]*}
  port=${place##*:}
  [ "$port" != "$place" ] || port=$2
  (exec 3<>"/dev/tcp/${place%%:*}/$port") 2>/dev/null
}

if [ -n "${AMQP_URL:-}" ] && answers "$AMQP_URL" 5672; then
  echo "using the broker at AMQP_URL"
else
  "$here/broker.sh" start "$dir/broker"
  . "$dir/broker/env"
  echo "started a broker in $dir/broker"
fi
if [ -n "${DATABASE_URL:-}" ] && answers "$DATABASE_URL" 5432; then
  echo "using the PostgreSQL server at DATABASE_URL"
else
  "$here/postgres.sh" start "$dir/postgres"
  . "$dir/postgres/env"
  echo "started PostgreSQL in $dir/postgres"
fi
"$@"
