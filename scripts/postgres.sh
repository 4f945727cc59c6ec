#!/usr/bin/env bash
# A private PostgreSQL server for tests: its own directory and port, nothing outside loopback.
#
#   scripts/postgres.sh start DIR  starts it (again) and waits until it answers; writes DIR/env
#   scripts/postgres.sh kill DIR   kills it as a crash would; DIR stays, to start it again
#   scripts/postgres.sh stop DIR   ends it; DIR stays
#   scripts/postgres.sh standby DIR PRIMARY
#                                  starts a standby of the server in PRIMARY, which from then on commits nothing
#                                  that the standby has not written
#   scripts/postgres.sh promote DIR
#                                  makes a standby the primary
#
# DIR/env is read with `.`: it exports DATABASE_URL and FLEXCAST_POSTGRES_DIR.
# PostgreSQL refuses to run as root: for root it runs as `postgres`, or as `nobody`.
set -euo pipefail

fail() {
  echo "postgres.sh: $*" >&2
  exit 1
}

# Debian keeps the server's programs out of the path, in a directory for each version.
find_bin() {
  local found
  found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
  if [ -n "$found" ] && [ -x "$found/initdb" ]; then
    echo "$found"
  elif command -v initdb >/dev/null; then
    dirname "$(readlink -f "$(command -v initdb)")"
  else
    fail "PostgreSQL is missing: run scripts/install-test-deps.sh"
  fi
}

unprivileged() {
  if [ "$(id -u)" -ne 0 ]; then
    "$@"
    return
  fi
  local user
  user=$(owner)
  setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@"
}

owner() {
  if id postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

is_free() {
  ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Below 32768, where Linux begins to take ports for outgoing connections.
free_port() {
  local port
  while true; do
    port=$((25000 + (RANDOM * 32768 + RANDOM) % 7000))
    if is_free "$port"; then
      echo "$port"
      return
    fi
  done
}

make() {
  local dir=$1 port
  port=$(free_port)
  mkdir "$dir/data"
  echo "flexcast-test" >"$dir/password"
  if [ "$(id -u)" -eq 0 ]; then
    chmod 711 "$dir"
    chown "$(owner)" "$dir/data" "$dir/password"
  fi
  # So that a password is asked for, as in production; no sync, for a crash of the machine is no test.
  (cd "$dir" && unprivileged "$bin/initdb" -D "$dir/data" -U flexcast --pwfile="$dir/password" \
    --auth=scram-sha-256 -E UTF8 --locale=C.UTF-8 --no-sync) >"$dir/output" 2>&1 ||
    fail "initdb failed: see $dir/output"
  cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
fsync = off
# Every test has a database, and several processes their connections.
max_connections = 300
CONF
  certify "$dir"
  cat >"$dir/env.new" <<ENV
export DATABASE_URL=postgres://flexcast:flexcast-test@127.0.0.1:$port/postgres
export FLEXCAST_POSTGRES_DIR=$dir
ENV
  mv "$dir/env.new" "$dir/env"
}

# A certificate of its own, for 127.0.0.1, so that tests speak TLS.
certify() {
  local dir=$1
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 \
    -addext 'subjectAltName = IP:127.0.0.1' -addext 'basicConstraints = critical, CA:FALSE' \
    -keyout "$dir/data/server.key" -out "$dir/data/server.crt" >>"$dir/output" 2>&1 ||
    fail "openssl failed: see $dir/output"
  cp "$dir/data/server.crt" "$dir/server.crt"
  chmod 600 "$dir/data/server.key"
  [ "$(id -u)" -ne 0 ] || chown "$(owner)" "$dir/data/server.key" "$dir/data/server.crt"
  echo "ssl = on" >>"$dir/data/postgresql.conf"
}

start() {
  local dir=$1
  [ -f "$dir/env" ] || make "$dir"
  # In a session of its own: Ctrl-C in a terminal is the tests' and not the server's.
  (cd "$dir/data" && unprivileged setsid "$bin/pg_ctl" -D "$dir/data" -w -t 60 \
    -l "$dir/data/log" start) >>"$dir/output" 2>&1 </dev/null ||
    fail "the server does not start: see $dir/data/log"
}

# The files come from the primary, and with them its settings; the later of two `port` lines counts.
standby() {
  local dir=$1 primary=$2 port url
  port=$(free_port)
  url=$(sed -n 's/^export DATABASE_URL=//p' "$primary/env")
  [ "$(id -u)" -ne 0 ] || { chmod 711 "$dir" && install -d -o "$(owner)" "$dir/base"; }
  unprivileged "$bin/pg_basebackup" -d "$url" -D "$dir/base/data" -R -X stream -c fast --no-sync \
    >"$dir/output" 2>&1 || fail "pg_basebackup failed: see $dir/output"
  mv "$dir/base/data" "$dir/data"
  echo "port = $port" >>"$dir/data/postgresql.conf"
  cat >"$dir/env" <<ENV
export DATABASE_URL=postgres://flexcast:flexcast-test@127.0.0.1:$port/postgres
export FLEXCAST_POSTGRES_DIR=$dir
ENV
  start "$dir"
  "$bin/psql" -q "$url" -c "ALTER SYSTEM SET synchronous_standby_names = '*'" -c "SELECT pg_reload_conf()" \
    >>"$dir/output" 2>&1 || fail "the primary does not wait for its standby: see $dir/output"
}

promote() {
  (cd "$1/data" && unprivileged "$bin/pg_ctl" -D "$1/data" -w promote) >>"$1/output" 2>&1 ||
    fail "the standby is not promoted: see $1/output"
}

# Immediately: connections are cut, what was committed is found again in the log.
end() {
  [ -f "$1/data/postmaster.pid" ] || return 0
  (cd "$1/data" && unprivileged "$bin/pg_ctl" -D "$1/data" -w -m "$2" stop) >>"$1/output" 2>&1 || true
}

usage="usage: postgres.sh start|kill|stop|promote DIR, or standby DIR PRIMARY"
[ $# -eq 2 ] || [ "$1:$#" = standby:3 ] || fail "$usage"
mkdir -p "$2"
dir=$(cd "$2" && pwd)
bin=$(find_bin)
case $1 in
  start) start "$dir" ;;
  kill) end "$dir" immediate ;;
  stop) end "$dir" fast ;;
  standby) standby "$dir" "$(cd "$3" && pwd)" ;;
  promote) promote "$dir" ;;
  *) fail "unknown command $1: $usage" ;;
esac
