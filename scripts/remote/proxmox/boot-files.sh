#!/usr/bin/env bash
# Makes the boot loader's entries and the initramfs from what /etc says, and remembers of what they were made.
# Arguments: a word that stands for the content of those files, then the boot loaders: grub, systemd-boot.
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
  # With the boot in which it was made: a later one has read it.
  printf '%s %s\n' "$made_of" "$(cat "$ROOT/proc/sys/kernel/random/boot_id")" >"$STATE/boot-files.next"
  sync
  mv "$STATE/boot-files.next" "$STATE/boot-files"
}

main "$@" </dev/null
