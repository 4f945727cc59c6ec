#!/usr/bin/env bash
# Installs programs that check or describe the dependencies, from the package registry, into target/tools/bin. Each has
# one version, and a program that is there in this version is not installed again.
#
#   scripts/cargo-tools.sh cargo-deny cargo-machete
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A versions=([cargo-about]=0.9.3 [cargo-deny]=0.20.2 [cargo-machete]=0.9.2)
declare -A features=([cargo-about]=cli)

tools=$PWD/target/tools
export CARGO_PROFILE_DEV_DEBUG=0
for tool in "$@"; do
  version=${versions[$tool]:?"cargo-tools.sh: there is no version for $tool"}
  if [ -x "$tools/bin/$tool" ] && [ "$(cat "$tools/$tool.version" 2>/dev/null)" = "$version" ]; then
    continue
  fi
  echo "installing $tool $version into target/tools"
  # Without optimisation the tools compile in half the time. cargo-about then reads licences for more than ten minutes.
  [ "$tool" = cargo-about ] && export CARGO_PROFILE_DEV_OPT_LEVEL=1 || export CARGO_PROFILE_DEV_OPT_LEVEL=0
  # One target directory, because the tools have dependencies in common.
  cargo install --quiet --locked --debug --force "$tool" --version "$version" --features "${features[$tool]:-}" \
    --root "$tools" --target-dir "$tools/build"
  echo "$version" >"$tools/$tool.version"
done
