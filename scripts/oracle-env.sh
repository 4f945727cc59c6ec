#!/usr/bin/env bash
# What other programs bring: Twilio's own SDKs, which the tests drive the simulator with (Python's in
# target/venv, Node's in tests/oracle/node_modules), pika, which publishes and reads in Python, and the oracles that
# made fixtures: Google's phone numbers and Twilio's own count of segments. The versions are those of the lock files;
# nothing is done when they are there.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "oracle-env.sh: $*" >&2
  exit 1
}

wanted=tests/oracle/requirements.txt
if ! cmp -s "$wanted" target/venv/installed.txt; then
  rm -rf target/venv
  python3 -m venv target/venv || fail "python3 -m venv failed: run scripts/install-test-deps.sh"
  echo "installing Twilio's Python SDK, pika and phonenumbers"
  target/venv/bin/pip install --quiet --disable-pip-version-check -r "$wanted" \
    || fail "pip could not install $wanted"
  cp "$wanted" target/venv/installed.txt
fi

wanted=tests/oracle/package-lock.json
if ! cmp -s "$wanted" tests/oracle/node_modules/installed.json; then
  command -v npm >/dev/null || fail "npm is missing: run scripts/install-test-deps.sh"
  echo "installing Twilio's Node SDK and segment calculator"
  npm ci --prefix tests/oracle --silent --no-audit --no-fund --ignore-scripts \
    || fail "npm could not install $wanted"
  cp "$wanted" tests/oracle/node_modules/installed.json
fi
