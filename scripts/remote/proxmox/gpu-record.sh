#!/usr/bin/env bash
# Writes the record of a GPU test on the Proxmox host: gpu-record.sh VMID JSON
# The record must be on the disk before the test continues, because the next step may hang the host.
set -euo pipefail

main() {
  local folder="${ROOT:-}/var/lib/collab-homelab"
  local file="$folder/gpu-$1.json"
  mkdir -p "$folder"
  printf '%s\n' "$2" >"$file.next"
  sync "$file.next"
  mv "$file.next" "$file"
  sync "$file" "$folder"
}

main "$@"
