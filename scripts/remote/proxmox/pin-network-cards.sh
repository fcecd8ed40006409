#!/usr/bin/env bash
# Pins the name of every network card with the tool of Proxmox. Cards keep their current names until the next boot.
# The tool writes *.link files first and /etc/network/interfaces.new later. After a boot between the two, the bridge would have no
# card. So a mark shows that the tool runs, and the next run first undoes an interrupted one. It does not undo
# /etc/pve/sdn/{controllers,fabrics}.cfg, which the tool writes in place at the end: the next run gives the same names, and
# undo-arm.sh has copies.
set -euo pipefail

ROOT=${ROOT:-}
STATE="$ROOT/var/lib/collab-homelab"
FOLDER="$ROOT/usr/local/lib/systemd/network"

present() {
  local path
  for path in "$FOLDER"/*.link; do
    if [ -e "$path" ]; then printf '%s\n' "${path##*/}"; fi
  done
}

take_back() {
  local name
  while read -r name; do
    if ! grep -qxF -- "$name" "$STATE/pinning"; then rm -f "$FOLDER/$name"; fi
  done < <(present)
  rm -f "$ROOT/etc/network/interfaces.new" "$ROOT"/etc/pve/nodes/*/host.fw.new
}

main() {
  mkdir -p "$STATE"
  if [ -e "$STATE/pinning" ]; then
    take_back
  else
    present >"$STATE/pinning.next"
    mv "$STATE/pinning.next" "$STATE/pinning"
  fi
  if ! pve-network-interface-pinning generate; then
    take_back
    rm -f "$STATE/pinning"
    return 1
  fi
  rm -f "$STATE/pinning"
}

main "$@" </dev/null
