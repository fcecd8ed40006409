#!/usr/bin/env bash
# Installs packages on an Ubuntu machine: packages.sh PACKAGE...
# Everything is in functions: a script of which only a part arrived does nothing.
set -euo pipefail

readonly LOG="${ROOT:-}/var/log/collab-homelab/packages.log"
# unattended-upgrades may hold the locks for some minutes.
readonly LOCK_SECONDS=600

main() {
  mkdir -p "$(dirname "$LOG")"
  # Into a file and not to the caller: what writes to a connection that broke would be killed in the middle.
  until install_packages "$@" >"$LOG" 2>&1 </dev/null; do
    # apt-get itself waits for the locks of dpkg, but not for those of its lists and archives; dpkg waits for none.
    if ((SECONDS >= LOCK_SECONDS)) || ! is_locked; then
      tail -n 20 "$LOG" >&2
      exit 1
    fi
    sleep 10
  done
}

# Whether it ended at a lock. apt-get also says that it waits for one, and then has no E: before it.
is_locked() {
  grep -qE '^(E: Could not get lock|dpkg: error: .*locked by another process)' "$LOG"
}

# What a kill or a power cut left half installed: dpkg names it, or left its journal, with which apt-get refuses to work.
is_broken() {
  [[ -n "$(dpkg --audit)" ]] || compgen -G "${ROOT:-}/var/lib/dpkg/updates/[0-9]*" >/dev/null
}

install_packages() {
  export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C.UTF-8
  local -a apt=(apt-get -q -y -o "DPkg::Lock::Timeout=$LOCK_SECONDS")
  apt+=(-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold)
  local broken=false
  if is_broken; then
    broken=true
    # Fails while something that they need is not unpacked: that is fetched below.
    dpkg --force-confdef --force-confold --configure -a || ! is_locked || return
  fi
  "${apt[@]}" update || return
  if "$broken"; then
    "${apt[@]}" -f install --no-install-recommends || return
  fi
  "${apt[@]}" install --no-install-recommends "$@"
}

main "$@"
