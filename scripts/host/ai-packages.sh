#!/usr/bin/env bash
# Installs packages on an Ubuntu machine: ai-packages.sh PACKAGE...
# Everything is in a function: a script of which only a part arrived does nothing.
set -euo pipefail

main() {
  local log="${ROOT:-}/var/log/collab-homelab/packages.log"
  mkdir -p "$(dirname "$log")"
  # Into a file and not to the caller: what writes to a connection that broke would be killed in the middle.
  if ! install_packages "$@" >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    exit 1
  fi
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
  # unattended-upgrades may hold the lock for some minutes.
  local -a apt=(apt-get -q -y -o DPkg::Lock::Timeout=600)
  # What a kill left half installed.
  if [[ -n "$(dpkg --audit)" ]]; then
    dpkg --force-confdef --force-confold --configure -a || return
  fi
  "${apt[@]}" update || return
  "${apt[@]}" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    install --no-install-recommends "$@"
}

main "$@"
