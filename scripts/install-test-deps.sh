#!/usr/bin/env bash
# Installs what the tests need from Debian's packages: only what is missing, and without starting any service.
set -euo pipefail

wanted=()
# Also where AMQP_URL names a broker: some tests kill and restart one, and it is their own.
[ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || wanted+=(rabbitmq-server)
# Its programs are not in the path: see scripts/postgres.sh. Likewise, tests stop a server of their own.
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || wanted+=(postgresql)
# Likewise in /usr/sbin.
[ -x /usr/sbin/pgbouncer ] || command -v pgbouncer >/dev/null || wanted+=(pgbouncer)
# The health checks of docker-compose.yml use both.
command -v curl >/dev/null || wanted+=(curl)
command -v wget >/dev/null || wanted+=(wget)
command -v openssl >/dev/null || wanted+=(openssl)
command -v python3 >/dev/null || wanted+=(python3)
# Debian splits ensurepip off, without which a venv cannot be made.
python3 -c 'import ensurepip, venv' 2>/dev/null || wanted+=(python3-venv)
command -v promtool >/dev/null || wanted+=(prometheus)
command -v node >/dev/null || wanted+=(nodejs)
command -v npm >/dev/null || wanted+=(npm)

if [ ${#wanted[@]} -eq 0 ]; then
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "the tests need ${wanted[*]}: install them (this script knows Debian's apt-get alone)" >&2
  exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "the tests need ${wanted[*]}: run 'sudo scripts/install-test-deps.sh' once" >&2
  exit 1
fi

# Debian's packages start their service when they are installed. The tests start services of their own,
# and a container has no init: the answer 101 of policy-rc.d forbids it (invoke-rc.d(8)). A
# policy that was there stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
fi

echo "installing ${wanted[*]}"
export DEBIAN_FRONTEND=noninteractive
install=(apt-get install -y -qq --no-install-recommends "${wanted[@]}")
# The lists of a fresh machine are empty, those of an old one name packages that are gone.
"${install[@]}" >/dev/null || { apt-get update -qq && "${install[@]}" >/dev/null; }
