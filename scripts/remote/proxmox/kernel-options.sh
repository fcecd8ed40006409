#!/usr/bin/env bash
# Replaces the line of /etc/kernel/cmdline, if it is still the one that was read before.
# Arguments: the line that was read before, the new line.
set -euo pipefail

ROOT=${ROOT:-}

main() {
  local seen=$1 wanted=$2 file="$ROOT/etc/kernel/cmdline"
  if [ "$(cat "$file")" != "$seen" ]; then
    printf '/etc/kernel/cmdline has changed meanwhile: %s\n' "$(cat "$file")" >&2
    return 1
  fi
  printf '%s\n' "$wanted" >"$file.next"
  chmod 644 "$file.next"
  mv "$file.next" "$file"
}

main "$@" </dev/null
