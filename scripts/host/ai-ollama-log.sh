#!/usr/bin/env bash
# Prints what the running Ollama found to compute with: one line of its log for each device.
set -euo pipefail

main() {
  local invocation
  invocation="$(systemctl show -p InvocationID --value ollama.service)"
  if [[ ! "$invocation" =~ ^[0-9a-f]{32}$ ]]; then
    echo "ollama.service does not run: it has no invocation id" >&2
    exit 1
  fi
  journalctl --no-pager --output=cat "_SYSTEMD_INVOCATION_ID=$invocation" | grep -F 'inference compute' || true
}

main "$@"
