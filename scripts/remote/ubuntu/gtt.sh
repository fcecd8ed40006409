#!/usr/bin/env bash
# Sets how much of the machine's memory the GPU may use.
#   gtt.sh state          prints the state
#   gtt.sh write OPTIONS  writes the options of the module ttm, also into the initramfs, which loads the module early
# All code is in functions, so that a script that arrives incomplete does nothing.
set -euo pipefail

readonly OPTIONS="${ROOT:-}/etc/modprobe.d/collab-homelab-ttm.conf"
# The options in the initramfs.
readonly MADE="${ROOT:-}/var/lib/collab-homelab/initramfs-ttm"
readonly PARAMETERS="${ROOT:-}/sys/module/ttm/parameters"

state() {
  echo "options=$(cat "$OPTIONS" 2>/dev/null || true)"
  echo "initramfs=$(cat "$MADE" 2>/dev/null || true)"
  # Empty while the module is not loaded. It reads the options when it loads.
  echo "pages_limit=$(cat "$PARAMETERS/pages_limit" 2>/dev/null || true)"
}

write() {
  mkdir -p "$(dirname "$OPTIONS")" "$(dirname "$MADE")"
  rm -f "$MADE"
  printf '%s\n' "$1" >"$OPTIONS.next"
  mv "$OPTIONS.next" "$OPTIONS"
  # -k all, because the next boot may use another kernel.
  update-initramfs -u -k all >/dev/null
  printf '%s\n' "$1" >"$MADE"
}

main() {
  case "$1" in
    state) state ;;
    write) write "$2" ;;
    *)
      echo "state or write, not $1" >&2
      exit 2
      ;;
  esac
}

main "$@"
