#!/usr/bin/env bash
# Checks the dependencies: each one is used, has an allowed licence and comes from the package registry (deny.toml), and
# no advisory names it. The advisories are in a repository on the internet: without it, that check is left out.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/cargo-tools.sh cargo-deny cargo-machete
tools=target/tools/bin

# With the metadata it knows that the crate rustls-webpki is named `webpki` in the code.
"$tools/cargo-machete" --with-metadata --skip-target-dir .
deny=("$tools/cargo-deny" --locked check --hide-inclusion-graph)
"${deny[@]}" licenses bans sources
if timeout 60 "$tools/cargo-deny" --log-level off fetch db >/dev/null 2>&1; then
  "${deny[@]}" --disable-fetch advisories
else
  echo "The database of advisories is not reachable: known vulnerabilities of the dependencies were not checked."
fi
