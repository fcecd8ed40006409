#!/usr/bin/env bash
# How much of the machine's memory the GPU may use.
#   gtt.sh state          what is there
#   gtt.sh write OPTIONS  writes the options of the module ttm, also into the initramfs, which loads it early
# Everything is in functions: a script of which only a part arrived does nothing.
set -euo pipefail

readonly OPTIONS="${ROOT:-}/etc/modprobe.d/collab-homelab-ttm.conf"
# What the initramfs was made with.
readonly MADE="${ROOT:-}/var/lib/collab-homelab/initramfs-ttm"
readonly PARAMETERS="${ROOT:-}/sys/module/ttm/parameters"

state() {
  echo "options=$(cat "$OPTIONS" 2>/dev/null || true)"
  echo "initramfs=$(cat "$MADE" 2>/dev/null || true)"
  # Empty while the module is not loaded: it takes the options when it is.
  echo "pages_limit=$(cat "$PARAMETERS/pages_limit" 2>/dev/null || true)"
}

write() {
  mkdir -p "$(dirname "$OPTIONS")" "$(dirname "$MADE")"
  rm -f "$MADE"
  printf '%s\n' "$1" >"$OPTIONS.next"
  mv "$OPTIONS.next" "$OPTIONS"
  # -k all: the kernel of the next boot may be another one than that of now.
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
