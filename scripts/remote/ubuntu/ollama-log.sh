#!/usr/bin/env bash
# Prints `gpu=ADDRESS` for each AMD display controller of this machine, then one line from the log of the running Ollama for each
# device that it computes with.
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
