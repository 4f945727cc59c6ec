#!/usr/bin/env bash
# Installs the archive of `make dist` on a new, minimal Debian, with the commands of docs/install.md, and runs a
# campaign there. It needs root, debootstrap and openssl; Debian's mirror is that of this machine's apt.
set -euo pipefail
cd "$(dirname "$0")/.."

suite=bookworm

fail() {
  echo "dist-check.sh: $*" >&2
  exit 1
}

[ "$(id -u)" -eq 0 ] || fail "a new root needs root's rights: sudo make dist-check"
for tool in debootstrap chroot apt-get openssl; do
  command -v "$tool" >/dev/null || fail "$tool is missing: on Debian, apt-get install debootstrap openssl"
done
shopt -s nullglob
archives=(target/dist/flexcast-*.tar.gz)
[ "${#archives[@]}" -eq 1 ] || fail "target/dist has ${#archives[@]} archives, and this check needs one: make dist"

mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Identifier: Packages' \
  | awk -v suite="$suite" '$2 == suite { print $1; exit }')
[ -n "$mirror" ] || fail "this machine's apt has no mirror of Debian's $suite"

work=$(mktemp -d "${TMPDIR:-/tmp}/flexcast-dist-XXXXXX")
root=$work/root
server=
clean_up() {
  [ -z "$server" ] || kill "$server" || true
  # debootstrap leaves nothing mounted, unless it was stopped: then the root stays.
  ! grep -q " $root/" /proc/mounts || fail "something is mounted below $root: unmount it, and remove $work"
  rm -rf "$work"
}
trap clean_up EXIT
echo "making a Debian $suite in $root"
if ! debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$work/debootstrap.log" 2>&1; then
  tail "$work/debootstrap.log"
  fail "debootstrap failed"
fi

# The commands below a heading of docs/install.md.
commands() {
  awk -v heading="## $1" '
    /^## / { is_there = ($0 == heading) }
    is_there && /^```/ { is_block = ($0 == "```sh"); next }
    is_there && is_block' docs/install.md
}
install=$(commands "Install the archive")
first=$(commands "The first campaign")
[ -n "$install" ] && [ -n "$first" ] || fail "docs/install.md has no commands to install the archive"

list() { (cd "$root" && find . -xdev -not -path './proc/*' -not -type d | sort); }
in_root() { env -i HOME=/srv/trial PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" "$@"; }

list >"$work/before"
mkdir "$root/srv/trial"
cp "${archives[0]}" "${archives[0]}.sha256" "$root/srv/trial"
[ ! -e "$root/etc/ssl/certs/ca-certificates.crt" ] || fail "this root has ca-certificates: it should not"

printf 'set -eux\ncd /srv/trial\n%s\n%s\n' "$install" "$first" >"$root/srv/trial/commands.sh"
out=$(in_root sh /srv/trial/commands.sh) || fail "the commands of docs/install.md failed: $out"
echo "$out"
grep -Eq '^ *done +40$' <<<"$out" || fail "the campaign has no 40 messages done"

version=$(in_root flexcast --version)
[[ ${archives[0]} == */"${version/ /-}"-* ]] || fail "$version is not the version of ${archives[0]}"
in_root flexcast completions bash | bash -n || fail "bash refuses the completions"
in_root test -s /usr/local/share/man/man1/flexcast-send.1 || fail "the manual pages are not installed"

# A call over TLS without ca-certificates: the program has a list of authorities of its own, and its error says so. The
# server has a certificate of an unknown authority.
openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
  -addext basicConstraints=critical,CA:FALSE -keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/openssl.log"
openssl s_server -accept 127.0.0.1:0 -cert "$work/cert.pem" -key "$work/key.pem" -www >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 50); do
  port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$work/server.log")
  [ -z "$port" ] || break
  sleep 0.1
done
[ -n "$port" ] || fail "openssl s_server does not listen: $(cat "$work/server.log")"
trouble=0
said=$(in_root env FLEXCAST_TWILIO_URL="https://127.0.0.1:$port" TWILIO_AUTH_TOKEN=none \
  TWILIO_ACCOUNT_SID=AC00000000000000000000000000000000 \
  timeout 300 flexcast init --sender +12025550100 --channel sms 2>&1) || trouble=$?
said=$(tail -n 1 <<<"$said")
[ "$trouble" -eq 69 ] || fail "an unknown authority ends with $trouble, and not with 69: $said"
[[ $said == *"this system has no trust store"* ]] || fail "the error does not name the list of authorities: $said"
echo "Without ca-certificates: $said"

list >"$work/after"
others=$(comm -13 "$work/before" "$work/after" | grep -Ev '^\./(usr/local|srv/trial)/' || true)
[ -z "$others" ] || fail "files outside of /usr/local and the folder of the archive: $others"
echo "dist-check.sh: ${archives[0]} is installed and carries out a campaign on Debian $suite (minbase)"
