#!/usr/bin/env bash
# Runs a command with a broker at AMQP_URL: the one that answers there, or a new one of its own in a
# directory of its own, which is stopped and removed whatever the command does.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/flexcast-test-XXXXXX")
# Tests that kill a broker make theirs in here, so that none outlives a test that was killed.
export FLEXCAST_TEST_DIR=$dir

clean_up() {
  local env
  for env in "$dir"/*/env; do
    [ -f "$env" ] && "$here/broker.sh" stop "$(dirname "$env")" || true
  done
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

answers() {
  local place port
  place=${1#*://}
  place=${place%%[/?]*}
  place=${place##*@}
  port=${place##*:}
  [ "$port" != "$place" ] || port=5672
  (exec 3<>"/dev/tcp/${place%%:*}/$port") 2>/dev/null
}

if [ -n "${AMQP_URL:-}" ] && answers "$AMQP_URL"; then
  echo "using the broker at AMQP_URL"
else
  "$here/broker.sh" start "$dir/broker"
  . "$dir/broker/env"
  echo "started a broker in $dir/broker"
fi
"$@"
