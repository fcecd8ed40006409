#!/usr/bin/env bash
# Installed on a Proxmox host as /usr/local/sbin/collab-homelab-undo. A timer starts it some minutes after each boot, as long
# as it is armed. If nobody confirmed that this boot is good, it gives back the files of the last good one and reboots.
# It may be killed at any point: until its last step it is armed, and begins anew after the next boot.
set -euo pipefail

ROOT=${ROOT:-}
STATE="$ROOT/var/lib/collab-homelab"

try() {
  "$@" || printf 'undo: %s failed; it goes on\n' "$*" >&2
}

put_back() {
  local path=$1
  if cmp -s "$STATE/saved/files$path" "$ROOT$path"; then return; fi
  mkdir -p "$(dirname "$ROOT$path")"
  cat "$STATE/saved/files$path" >"$ROOT$path.undo"
  mv "$ROOT$path.undo" "$ROOT$path"
}

give_back() {
  local saved="$STATE/saved" path
  # What came since: our own files, and names of network cards.
  while read -r path; do try rm -f "$ROOT$path"; done <"$saved/absent"
  for path in "$ROOT"/etc/systemd/network/*.link "$ROOT"/usr/local/lib/systemd/network/*.link; do
    if [ -f "$path" ] && [ ! -L "$path" ] && [ ! -e "$saved/files${path#"$ROOT"}" ]; then rm -f "$path"; fi
  done
  rm -f "$ROOT/etc/network/interfaces.new" "$ROOT"/etc/pve/nodes/*/host.fw.new
  while read -r path; do try put_back "${path#"$saved/files"}"; done < <(find "$saved/files" -type f -print)
}

main() {
  [ -e "$STATE/armed" ] || return 0
  # Armed in this very boot: the changes are not booted yet.
  [ "$(cat "$STATE/armed")" != "$(cat "$ROOT/proc/sys/kernel/random/boot_id")" ] || return 0
  if [ ! -f "$STATE/saved/absent" ]; then
    printf 'undo: the saved files are gone; nothing is undone\n' >&2
    return 1
  fi
  give_back
  if [ -f "$ROOT/etc/default/grub" ] && command -v update-grub >/dev/null; then try update-grub; fi
  try update-initramfs -u -k all
  if [ -s "$ROOT/etc/kernel/proxmox-boot-uuids" ]; then try proxmox-boot-tool refresh; fi
  # The next run of the bootstrap tells its owner, and does not try the same again by itself.
  date -u +%Y-%m-%dT%H:%M:%SZ >"$STATE/undone"
  rm -f "$STATE/boot-files" "$STATE/pinning" "$STATE/armed"
  sync
  try systemctl disable collab-homelab-undo.timer
  systemctl --no-block reboot
}

main "$@" </dev/null
