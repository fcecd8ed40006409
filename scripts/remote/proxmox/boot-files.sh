#!/usr/bin/env bash
# Builds the boot loader's entries and the initramfs from the files in /etc, and records from which content.
# Arguments: a digest of these files, then the boot loaders: grub, systemd-boot.
set -euo pipefail

ROOT=${ROOT:-}
STATE="$ROOT/var/lib/collab-homelab"

main() {
  local made_of=$1 loader
  shift
  rm -f "$STATE/boot-files"
  for loader in "$@"; do
    if [ "$loader" = grub ]; then update-grub; fi
  done
  update-initramfs -u -k all
  if [ -s "$ROOT/etc/kernel/proxmox-boot-uuids" ]; then proxmox-boot-tool refresh; fi
  mkdir -p "$STATE"
  # Records the current boot too: only a later boot has read the new files.
  printf '%s %s\n' "$made_of" "$(cat "$ROOT/proc/sys/kernel/random/boot_id")" >"$STATE/boot-files.next"
  sync
  mv "$STATE/boot-files.next" "$STATE/boot-files"
}

main "$@" </dev/null
