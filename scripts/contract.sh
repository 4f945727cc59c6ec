#!/usr/bin/env bash
# Holds what we send and what the simulator answers against Twilio's own OpenAPI files.
#
#   scripts/contract.sh DIR      DIR has twilio_flex_v1.json, twilio_proxy_v1.json and so on
#                                (github.com/twilio/twilio-oai, spec/json)
#
# Runs a campaign of each strategy on each API in the simulator, with and without faults, over the
# fixture of a hundred leads, and records every exchange. What is recorded lies in target/contract.
set -euo pipefail
cd "$(dirname "$0")/.."

oai=${1:?"usage: scripts/contract.sh DIR with the OpenAPI files"}
[ -f "$oai/twilio_flex_v1.json" ] || {
  echo "contract.sh: $oai has no twilio_flex_v1.json" >&2
  exit 1
}
cargo build --quiet
out=target/contract
rm -rf "$out"
mkdir -p "$out"

# As fast as Twilio's APIs let it, and numbers that send any number of segments a second: the contract is
# about what is said, not about when.
{
  printf '[work]\nretry = ["200ms", "500ms", "1s", "2s"]\nsettle_time = "100ms"\n[senders]\n'
  grep -h '^senders\? =' examples/*.toml | grep -o '"+[0-9]*"' | sort -u | sed 's/$/ = "none"/'
} >"$out/flexcast.toml"

run() {
  local name=$1 status=0
  shift
  env -u FLEXCAST_STATE -u DATABASE_URL target/debug/flexcast send "$out/$name.toml" tests/fixtures/leads-100.csv \
    --map phone="Phone 1" --map agent="Lead Owner" --config "$out/flexcast.toml" --state "$out/$name" \
    --simulate --record "$out/$name.jsonl" --json "$@" >"$out/$name.report.json" 2>"$out/$name.log" || status=$?
  # 1: some ended dead, which faults are there for.
  if [ $status -ne 0 ] && { [ $status -ne 1 ] || [ $# -eq 0 ]; }; then
    cat "$out/$name.log" >&2
    echo "contract.sh: $name ended with $status" >&2
    return 1
  fi
}

# Beside each other: most of it waits for Twilio's published limits.
runs=() names=(spring-renewals conversations-task-now proxy-task-now proxy-task-on-reply)
for campaign in "${names[@]}"; do
  sed -e '/^\[pace\]/,$d' -e 's/customer\.attributes\.plan/customer.name/' -e 's/^\[task\]/[task]\nshow = ["company", "deal_stage"]/' "examples/$campaign.toml" >"$out/$campaign.toml"
  cp "$out/$campaign.toml" "$out/$campaign-faults.toml"
  run "$campaign" &
  runs+=($!)
  run "$campaign-faults" --faults tests/fixtures/faults.json &
  runs+=($!)
done
for one in "${runs[@]}"; do
  wait "$one"
done
cat "$out"/*.jsonl >"$out/all.jsonl"

# A trial keeps no marks: one campaign more goes to the simulator over HTTP, and another ledger takes it over.
port=18099
target/debug/flexcast simulator --port $port --no-limits --record "$out/marks.jsonl" >"$out/simulator.log" 2>&1 &
simulator=$!
trap 'kill $simulator 2>/dev/null || true' EXIT
until grep -q "127.0.0.1:$port" "$out/simulator.log"; do
  kill -0 $simulator || { cat "$out/simulator.log" >&2; exit 1; }
  sleep 0.2
done
for ledger in one another; do
  env -u FLEXCAST_STATE -u DATABASE_URL -u AMQP_URL FLEXCAST_TWILIO_URL="http://127.0.0.1:$port" \
    TWILIO_ACCOUNT_SID=ACf1e8ca57f1e8ca57f1e8ca57f1e8ca57 TWILIO_AUTH_TOKEN=f1e8ca57f1e8ca57f1e8ca57f1e8ca57 \
    target/debug/flexcast send "$out/proxy-task-on-reply.toml" tests/fixtures/leads-100.csv --map phone="Phone 1" \
    --map agent="Lead Owner" --config "$out/flexcast.toml" --state "$out/$ledger" --yes --take-over --json \
    >"$out/$ledger.report.json" 2>"$out/$ledger.log" || { cat "$out/$ledger.log" >&2; exit 1; }
done
kill $simulator
wait $simulator 2>/dev/null || true
grep -q update_user "$out/marks.jsonl" || grep -q Users "$out/marks.jsonl"
cat "$out/marks.jsonl" >>"$out/all.jsonl"

python3 tests/oracle/check_openapi.py --refused-too "$out/all.jsonl" "$oai"
