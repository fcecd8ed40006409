#!/usr/bin/env bash
# Confirms the current boot. Its boot files are not undone any more, not even after a later power cut.
set -euo pipefail

ROOT=${ROOT:-}
STATE="$ROOT/var/lib/collab-homelab"

main() {
  # Removing this file is the confirmation. The rest is cleanup.
  rm -f "$STATE/armed"
  sync
  systemctl disable --now collab-homelab-undo.timer
}

main "$@" </dev/null
