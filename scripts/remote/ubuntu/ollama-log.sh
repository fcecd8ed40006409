#!/usr/bin/env bash
# Prints `gpu=ADDRESS` for each display controller of AMD in this machine, then what the running Ollama found to compute with:
# one line of its log for each device.
set -euo pipefail

readonly DEVICES="${ROOT:-}/sys/bus/pci/devices"

gpus() {
  local device
  for device in "$DEVICES"/*; do
    [[ -r "$device/vendor" && "$(<"$device/vendor")" == 0x1002 && "$(<"$device/class")" == 0x03* ]] || continue
    echo "gpu=${device##*/}"
  done
}

main() {
  local invocation
  invocation="$(systemctl show -p InvocationID --value ollama.service)"
  if [[ ! "$invocation" =~ ^[0-9a-f]{32}$ ]]; then
    echo "ollama.service does not run: it has no invocation id" >&2
    exit 1
  fi
  gpus
  journalctl --no-pager --output=cat "_SYSTEMD_INVOCATION_ID=$invocation" | grep -F 'inference compute' || true
}

main "$@"
