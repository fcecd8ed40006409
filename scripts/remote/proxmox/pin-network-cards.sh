#!/usr/bin/env bash
# Gives every network card a name that stays, by Proxmox' own tool. Cards keep their present names until the next boot.
# The tool writes *.link files first and /etc/network/interfaces.new later: between them a boot would leave the bridge without
# its card. So a mark says that it is at work, and what an earlier try left half done is taken back before the next. Only
# /etc/pve/sdn/{controllers,fabrics}.cfg, which it writes in place at its very end, stay as they are: the next try gives the
# same names, and undo-arm.sh has kept copies.
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
