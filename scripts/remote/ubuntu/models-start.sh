#!/usr/bin/env bash
# Loads the resident models, like after each start of Ollama.
set -euo pipefail

main() {
  systemctl daemon-reload
  systemctl enable --quiet collab-homelab-models.service
  if ! systemctl restart collab-homelab-models.service; then
    journalctl --no-pager --output=cat --lines=10 --unit=collab-homelab-models.service >&2
    exit 1
  fi
}

main "$@"
