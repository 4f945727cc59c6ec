#!/usr/bin/env bash
# Shows that the in-process drill sees what it is there for: breaks one promise at a time
# (tests/mutations/*.patch) in a copy of the sources, and demands that the drill fails.
#
#   scripts/mutation-check.sh              all mutations, and before them the sources as they are
#   scripts/mutation-check.sh NAME ...     these alone
#
# A patch whose text says "Noticed by: ..." is noticed by these tests of `cargo test`, and not by the drill.
#
# The copy and its build lie in target/mutants and are used again. DRILL_SEEDS: other than the suite's.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
scratch=$root/target/mutants/sources
export CARGO_TARGET_DIR=$root/target/mutants/target
# git apply is to take the copy for what it is, and not for a folder of this checkout.
export GIT_CEILING_DIRECTORIES=$root/target/mutants
unset DRILL_SEED DRILL_FIRST
mkdir -p "$scratch"

fail() {
  echo "mutation-check.sh: $1" >&2
  exit 1
}

# Only what differs, and with new times: cargo is to see each change, and nothing else.
copy_sources() {
  local file
  while IFS= read -r -d '' file; do
    if [ -f "$file" ] && ! cmp -s "$file" "$scratch/$file"; then
      mkdir -p "$scratch/$(dirname "$file")"
      cp --preserve=mode "$file" "$scratch/$file"
    fi
  done < <(git ls-files -z --cached --others --exclude-standard)
  (cd "$scratch" && find . -type f -print0) | while IFS= read -r -d '' file; do
    [ -f "$root/$file" ] || rm -f "$scratch/$file"
  done
}

# Runs the drill on the copy; leaves its exit status in $status and what it said in $out.
drill() {
  out=$root/target/mutants/$1.log
  (cd "$scratch" && cargo test --quiet --test it --no-run) >"$out" 2>&1 ||
    { cat "$out" >&2 && fail "$1 does not compile"; }
  status=0
  (cd "$scratch" && RUST_BACKTRACE=0 cargo test --quiet --test it drill::no_seed) >"$out" 2>&1 || status=$?
}

# Runs the tests that a patch names on the copy; as above.
tests() {
  out=$root/target/mutants/$1.log
  # shellcheck disable=SC2086 # it is several words
  (cd "$scratch" && cargo test --quiet $2 --no-run) >"$out" 2>&1 ||
    { cat "$out" >&2 && fail "$1 does not compile"; }
  status=0
  # shellcheck disable=SC2086
  (cd "$scratch" && RUST_BACKTRACE=0 cargo test --quiet $2) >"$out" 2>&1 || status=$?
}

patches=()
for name in "$@"; do
  patches+=("tests/mutations/$name.patch")
done
[ $# -gt 0 ] || patches=(tests/mutations/*.patch)
for patch in "${patches[@]}"; do
  [ -f "$patch" ] || fail "there is no $patch"
done

copy_sources
if [ $# -eq 0 ]; then
  drill unmutated
  [ $status -eq 0 ] || { cat "$out" >&2 && fail "the drill fails on the sources as they are"; }
  printf '%-28s %s\n' unmutated passes
fi
survivors=0
for patch in "${patches[@]}"; do
  name=$(basename "$patch" .patch)
  (cd "$scratch" && git apply "$root/$patch") ||
    fail "$patch no longer applies: make it anew for the sources as they are now"
  by=$(sed -n 's/^Noticed by: //p' "$patch")
  if [ -n "$by" ]; then tests "$name" "$by"; else drill "$name"; fi
  (cd "$scratch" && git apply -R "$root/$patch")
  failed=$(sed -n 's/^\([0-9]* of [0-9]*\) seeds failed:$/\1/p' "$out")
  [ -z "$by" ] || failed=$(sed -n 's/^test result: FAILED.* \([0-9]* failed\);.*$/\1, not/p' "$out" | head -n 1)
  if [ $status -ne 0 ] && [ -n "$failed" ]; then
    printf '%-28s %s seeds failed\n' "$name" "$failed"
  else
    survivors=$((survivors + 1))
    printf '%-28s SURVIVED (exit %s, see %s)\n' "$name" "$status" "$out"
  fi
done
[ $survivors -eq 0 ] || fail "$survivors mutations were not noticed"
