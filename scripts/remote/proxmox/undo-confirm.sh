#!/usr/bin/env bash
# The host has come back as it should: what decides how it boots is no longer undone, not by a later power cut either.
set -euo pipefail

ROOT=${ROOT:-}
STATE="$ROOT/var/lib/collab-homelab"

main() {
  # This one file decides; the rest is tidying up.
  rm -f "$STATE/armed"
  sync
  systemctl disable --now collab-homelab-undo.timer
}

main "$@" </dev/null
