#!/usr/bin/env bash
# Manages HAProxy in front of Ollama on an Ubuntu machine.
#   llm-proxy.sh state    prints digests of files and of the running configuration
#   llm-proxy.sh start    starts or reloads it with its configuration; running answers continue
#   llm-proxy.sh keys     loads the keys of the file into the running process at once; no connection ends
#   llm-proxy.sh stop     stops and disables it, because Ollama listens on all addresses again
# All code is in functions, so that a script that arrives incomplete does nothing.
set -euo pipefail

readonly CONFIG="${ROOT:-}/etc/haproxy/haproxy.cfg"
readonly CLIENTS="${ROOT:-}/etc/collab-homelab/llm-clients.map"
readonly SOCKET="${ROOT:-}/run/haproxy/admin.sock"

ask() {
  socat -t 10 - "UNIX-CONNECT:$SOCKET"
}

digest() {
  sha256sum | cut -d ' ' -f 1
}

# Keys of the running process, one `0x...  KEY CLIENT` per line.
running_keys() {
  echo "show map $CLIENTS" | ask | sed -n 's/^0x[0-9a-f]* //p' | LC_ALL=C sort
}

mark() {
  echo 'show info' | ask 2>/dev/null | sed -n 's/^description: //p' || true
}

state() {
  local mark
  mark="$(mark)"
  echo "active=$(systemctl is-active haproxy.service 2>/dev/null || true)"
  echo "enabled=$(systemctl is-enabled haproxy.service 2>/dev/null || true)"
  # The running configuration prints its mark.
  echo "mark=$mark"
  echo "file=$(if [[ -f "$CLIENTS" ]]; then digest <"$CLIENTS"; fi)"
  echo "keys=$(if [[ -n "$mark" ]]; then running_keys | digest; fi)"
}

start() {
  # haproxy prints what is wrong, which -q would hide; the running process goes on.
  haproxy -c -f "$CONFIG" >/dev/null
  systemctl enable --quiet haproxy.service
  systemctl reload-or-restart haproxy.service
}

keys() {
  local version
  # It does not run yet, or without our configuration. It reads the file when it starts.
  [[ -n "$(mark)" ]] || return 0
  version="$(echo "prepare map $CLIENTS" | ask | sed -n 's/^New version created: //p')"
  if [[ -z "$version" ]]; then
    echo "haproxy must know the map $CLIENTS, and does not" >&2
    exit 1
  fi
  if [[ -s "$CLIENTS" ]]; then
    { echo "add map @$version $CLIENTS <<" && cat "$CLIENTS" && echo; } | ask
  fi
  echo "commit map @$version $CLIENTS" | ask
}

stop() {
  systemctl disable --now --quiet haproxy.service
  rm -f "$CLIENTS"
}

main() {
  local verb="$1"
  case "$verb" in
    state) state ;;
    start) start ;;
    keys) keys ;;
    stop) stop ;;
    *)
      echo "state, start, keys or stop, not $verb" >&2
      exit 2
      ;;
  esac
}

main "$@"
