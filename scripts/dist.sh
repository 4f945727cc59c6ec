#!/usr/bin/env bash
# Builds the archive of a release: target/dist/flexcast-VERSION-TARGET.tar.gz, and its SHA-256 beside it.
#
# The same commit, toolchain and machine give the same bytes: the files have one order, owner and time. The time is
# SOURCE_DATE_EPOCH, or that of the commit. FLEXCAST_BIN=FILE puts a program into the archive that is built already.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  echo "dist.sh: $*" >&2
  exit 1
}

for tool in git strip readelf; do
  command -v "$tool" >/dev/null || fail "$tool is missing (strip and readelf are in binutils)"
done
[ -z "$(git status --porcelain)" ] || echo "dist.sh: the checkout has changes that are not committed" >&2

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
target=$(rustc -vV | sed -n 's/^host: //p')
time=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
name=flexcast-$version-$target
dist=$PWD/target/dist
root=$dist/$name

if [ -z "${FLEXCAST_BIN:-}" ]; then
  cargo build --release --locked --bin flexcast
fi
scripts/cargo-tools.sh cargo-about

rm -rf "$root"
mkdir -p "$root/completions" "$root/man/man1"
# Only files of the repository: none that a trial left in these folders.
git ls-files -z -- examples docs dashboards deploy README.md CHANGELOG.md SECURITY.md LICENSE-APACHE LICENSE-MIT \
  | tar --null --files-from=- --create --file=- | tar --extract --directory="$root"
cp "${FLEXCAST_BIN:-target/release/flexcast}" "$root/flexcast"
strip "$root/flexcast"

flexcast=$root/flexcast
"$flexcast" completions bash >"$root/completions/flexcast.bash"
"$flexcast" completions zsh >"$root/completions/_flexcast"
"$flexcast" completions fish >"$root/completions/flexcast.fish"
"$flexcast" completions elvish >"$root/completions/flexcast.elv"
"$flexcast" completions powershell >"$root/completions/_flexcast.ps1"
"$flexcast" man "$root/man/man1"
# Reading the licences takes two minutes. They are those of the lock file and the settings.
sum=$(cat Cargo.lock about.toml scripts/third-party.hbs <(echo "$target") | sha256sum | cut -c 1-16)
licenses=target/tools/third-party-$sum
if [ ! -s "$licenses" ]; then
  target/tools/bin/cargo-about generate --offline --locked --fail --target "$target" --config about.toml \
    --output-file "$licenses.new" scripts/third-party.hbs
  mv "$licenses.new" "$licenses"
fi
cp "$licenses" "$root/THIRD-PARTY-LICENSES"

(
  cd "$dist"
  tar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" --mode=u=rwX,go=rX --format=ustar \
    --create --file=- "$name" | gzip --no-name --best >"$name.tar.gz"
  sha256sum "$name.tar.gz" >"$name.tar.gz.sha256"
)

# What the program needs of the system that it runs on.
libraries=$(readelf --dynamic "$flexcast" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | paste -sd ' ')
glibc=$(readelf --version-info "$flexcast" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
echo "$dist/$name.tar.gz: $(stat -c %s "$dist/$name.tar.gz") bytes, $(tar -tzf "$dist/$name.tar.gz" | wc -l) entries"
echo "The program needs ${glibc:-no glibc} or later, and these libraries: ${libraries:-none}"
