#!/usr/bin/env bash
# A private RabbitMQ node for tests: its own directory, ports, cookie and epmd, nothing outside loopback.
#
#   scripts/broker.sh start DIR [OTHER]   starts it (again) and waits until it answers; writes DIR/env. With the
#                                  directory of another node it joins that node's cluster at its first start
#   scripts/broker.sh ctl DIR ...  runs rabbitmqctl on it
#   scripts/broker.sh diagnostics DIR ...
#                                  runs rabbitmq-diagnostics on it
#   scripts/broker.sh kill DIR     kills it as a power failure would; DIR stays, to start it again
#   scripts/broker.sh stop DIR     ends it and its epmd; DIR stays
#
# Where DIR/tls holds ca.pem, server.pem and server.key before the first start, the node listens with TLS too, on
# FLEXCAST_BROKER_TLS_PORT, and its management API on FLEXCAST_BROKER_MANAGEMENT_TLS_PORT. With a file DIR/tls/clients it
# takes only clients with a certificate of that authority.
#
# Where DIR/environment has lines NAME=value before the first start, the node has these variables: the user that it
# makes (RABBITMQ_DEFAULT_USER, RABBITMQ_DEFAULT_PASS) and ports that somebody else chose (FLEXCAST_BROKER_PORT,
# FLEXCAST_BROKER_MANAGEMENT_PORT). With FLEXCAST_BROKER_METRICS_PORT the node has the plugin rabbitmq_prometheus too.
#
# DIR/env is read with `.`: it exports AMQP_URL, AMQP_MANAGEMENT_URL, FLEXCAST_BROKER_DIR and the node's own
# variables.
set -euo pipefail

bin=/usr/lib/rabbitmq/bin # not /usr/sbin: Debian's wrapper wants root or the rabbitmq user

fail() {
  echo "broker.sh: $*" >&2
  exit 1
}

is_free() {
  ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Below 32768, where Linux begins to take ports for outgoing connections.
free_port() {
  local port
  while true; do
    port=$((15000 + (RANDOM * 32768 + RANDOM) % 10000))
    if is_free "$port"; then
      echo "$port"
      return
    fi
  done
}

# The value of a variable in another node's env.
variable() {
  sed -n "s/^export $2=//p" "$1/env"
}

write_env() {
  local dir=$1 other=$2 port dist epmd management login
  [ ! -f "$dir/environment" ] || . "$dir/environment"
  port=${FLEXCAST_BROKER_PORT:-$(free_port)} management=${FLEXCAST_BROKER_MANAGEMENT_PORT:-$(free_port)}
  dist=$(free_port) epmd=$(free_port)
  login=${RABBITMQ_DEFAULT_USER:-guest}:${RABBITMQ_DEFAULT_PASS:-guest}
  mkdir -p "$dir/home" "$dir/log" "$dir/mnesia"
  if [ -n "$other" ]; then
    # The nodes of a cluster find each other at one epmd, and know each other by one cookie.
    epmd=$(variable "$other" ERL_EPMD_PORT)
    cp -p "$other/home/.erlang.cookie" "$dir/home/"
  fi
  echo '[rabbitmq_management].' >"$dir/plugins"
  cat >"$dir/rabbitmq.conf" <<CONF
listeners.tcp.1 = 127.0.0.1:$port
# The machine's disk is not the test's business.
disk_free_limit.absolute = 50MB
management.tcp.ip = 127.0.0.1
management.tcp.port = $management
# A fifth of what is usual: tests wait for what the management plugin tells.
collect_statistics_interval = 1000
CONF
  # The same for what a quorum queue tells; rabbitmq.conf has no name for it.
  echo '[{rabbit, [{quorum_tick_interval, 1000}]}].' >"$dir/advanced.config"
  cat >"$dir/env.new" <<ENV
export AMQP_URL=amqp://$login@127.0.0.1:$port/%2f
export AMQP_MANAGEMENT_URL=http://$login@127.0.0.1:$management
export FLEXCAST_BROKER_DIR=$dir
export RABBITMQ_NODENAME=flexcast-$port@localhost
export RABBITMQ_NODE_PORT=$port
export RABBITMQ_DIST_PORT=$dist
export ERL_EPMD_PORT=$epmd
export ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_MNESIA_BASE=$dir/mnesia
export RABBITMQ_LOG_BASE=$dir/log
export RABBITMQ_ENABLED_PLUGINS_FILE=$dir/plugins
export RABBITMQ_CONFIG_FILE=$dir/rabbitmq
export RABBITMQ_ADVANCED_CONFIG_FILE=$dir/advanced.config
export RABBITMQ_CONF_ENV_FILE=$dir/none
export RABBITMQ_PID_FILE=$dir/pid
ENV
  [ ! -f "$dir/environment" ] || sed 's/^/export /' "$dir/environment" >>"$dir/env.new"
  [ -z "${FLEXCAST_BROKER_METRICS_PORT:-}" ] || write_metrics "$dir" "$FLEXCAST_BROKER_METRICS_PORT"
  [ ! -d "$dir/tls" ] || write_tls "$dir"
  mv "$dir/env.new" "$dir/env"
}

write_metrics() {
  echo '[rabbitmq_management, rabbitmq_prometheus].' >"$1/plugins"
  cat >>"$1/rabbitmq.conf" <<CONF
prometheus.tcp.ip = 127.0.0.1
prometheus.tcp.port = $2
CONF
}

write_tls() {
  local dir=$1 port management needed=false
  port=$(free_port) management=$(free_port)
  [ ! -f "$dir/tls/clients" ] || needed=true
  cat >>"$dir/rabbitmq.conf" <<CONF
listeners.ssl.1 = 127.0.0.1:$port
ssl_options.cacertfile = $dir/tls/ca.pem
ssl_options.certfile = $dir/tls/server.pem
ssl_options.keyfile = $dir/tls/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = $needed
management.ssl.ip = 127.0.0.1
management.ssl.port = $management
management.ssl.cacertfile = $dir/tls/ca.pem
management.ssl.certfile = $dir/tls/server.pem
management.ssl.keyfile = $dir/tls/server.key
CONF
  echo "export FLEXCAST_BROKER_TLS_PORT=$port" >>"$dir/env.new"
  echo "export FLEXCAST_BROKER_MANAGEMENT_TLS_PORT=$management" >>"$dir/env.new"
}

# Reads DIR/env. HOME holds the Erlang cookie; it is set here and not in the file, which others read.
enter() {
  [ -f "$1/env" ] || fail "no broker in $1"
  . "$1/env"
  export HOME=$1/home
}

wait_until_it_answers() {
  local pid=$1 try
  for try in $(seq 300); do
    kill -0 "$pid" 2>/dev/null || fail "the broker ended: see $RABBITMQ_LOG_BASE and $FLEXCAST_BROKER_DIR/output"
    # The listener opens last, when queues and exchanges are recovered and the management plugin answers. A little
    # later the node says that it runs; rabbitmqctl is refused before.
    if ! is_free "$RABBITMQ_NODE_PORT"; then
      "$bin/rabbitmqctl" -q await_startup --timeout 60 || fail "the broker does not run: see $RABBITMQ_LOG_BASE"
      return
    fi
    sleep 0.2
  done
  fail "the broker did not answer within 60 s: see $RABBITMQ_LOG_BASE"
}

start() {
  local dir=$1 other=${2:-} is_new=false
  [ -x "$bin/rabbitmq-server" ] || fail "RabbitMQ is missing: run scripts/install-test-deps.sh"
  if [ ! -f "$dir/env" ]; then
    is_new=true
    write_env "$dir" "$other"
  fi
  enter "$dir"
  RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-kernel inet_dist_use_interface {127,0,0,1}' \
    setsid "$bin/rabbitmq-server" >"$dir/output" 2>&1 </dev/null &
  echo $! >"$dir/group"
  wait_until_it_answers $!
  if $is_new && [ -n "$other" ]; then
    join "$other"
    wait_until_it_answers "$(cat "$dir/group")"
  fi
}

# The node in whose environment this is joins the cluster of another one; what it had is gone.
join() {
  local step
  for step in stop_app "join_cluster $(variable "$1" RABBITMQ_NODENAME)" start_app; do
    # shellcheck disable=SC2086 # a command and its argument
    "$bin/rabbitmqctl" -q $step || fail "the node does not join the cluster: $step"
  done
}

# The server runs in a session of its own: the group is the script and the Erlang machine it became.
kill_server() {
  local group
  group=$(cat "$1/group" 2>/dev/null) || return 0
  kill "-$2" -- "-$group" 2>/dev/null || return 0
  while kill -0 -- "-$group" 2>/dev/null; do
    sleep 0.05
  done
}

stop() {
  [ -f "$1/env" ] || return 0
  enter "$1"
  kill_server "$1" KILL
  # epmd is a daemon of its own; this one serves this directory's node alone.
  epmd -port "$ERL_EPMD_PORT" -kill >/dev/null 2>&1 || true
}

[ $# -ge 2 ] || fail "usage: broker.sh start|ctl|diagnostics|kill|stop DIR"
command=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
shift 2
case $command in
  start) start "$dir" "$@" ;;
  ctl) enter "$dir" && exec "$bin/rabbitmqctl" -q "$@" ;;
  diagnostics) enter "$dir" && exec "$bin/rabbitmq-diagnostics" "$@" ;;
  kill) kill_server "$dir" KILL ;;
  stop) stop "$dir" ;;
  *) fail "unknown command $command" ;;
esac
