#!/usr/bin/env bash
# Writes the record of a GPU proof on the Proxmox host: gpu-record.sh VMID JSON
# It must be on the disk before the proof goes on: what comes next may hang the host.
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
