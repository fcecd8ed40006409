#!/usr/bin/env bash
# Prints what the running Ollama found to compute with: one line of its log for each device.
set -euo pipefail

main() {
  local invocation
  invocation="$(systemctl show -p InvocationID --value ollama.service)"
  if [[ -z "$invocation" ]]; then
    echo "ollama.service does not run" >&2
    exit 1
  fi
  journalctl --no-pager --output=cat "_SYSTEMD_INVOCATION_ID=$invocation" | grep -F 'inference compute' || true
}

main "$@"
