#!/usr/bin/env bash
# Installs packages on an Ubuntu machine: packages.sh PACKAGE...
# All code is in functions, so that a script that arrives incomplete does nothing.
set -euo pipefail

readonly LOG="${ROOT:-}/var/log/collab-homelab/packages.log"
# unattended-upgrades may hold the locks for some minutes.
readonly LOCK_SECONDS=600

main() {
  mkdir -p "$(dirname "$LOG")"
  # Writes into a file, not to the caller: a broken connection would kill the writer.
  until install_packages "$@" >"$LOG" 2>&1 </dev/null; do
    # apt-get waits for the locks of dpkg, but not for those of its lists and archives. dpkg does not wait.
    if ((SECONDS >= LOCK_SECONDS)) || ! is_locked; then
      tail -n 20 "$LOG" >&2
      exit 1
    fi
    sleep 10
  done
}

# Whether the call failed at a lock. apt-get also prints that it waits for one, but without E: in front.
is_locked() {
  grep -qE '^(E: Could not get lock|dpkg: error: .*locked by another process)' "$LOG"
}

# Whether a kill or a power cut left partly installed packages. dpkg lists them, or left a journal with which apt-get stops.
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
    # Fails while a dependency is not unpacked. The code below downloads it.
    dpkg --force-confdef --force-confold --configure -a || ! is_locked || return
  fi
  "${apt[@]}" update || return
  if "$broken"; then
    "${apt[@]}" -f install --no-install-recommends || return
  fi
  "${apt[@]}" install --no-install-recommends "$@"
}

main "$@"
