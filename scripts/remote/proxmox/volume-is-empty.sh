#!/usr/bin/env bash
# Prints whether a volume was ever written: empty, written, or unknown if it cannot be read.
# Reads only. Argument: the volume's id.
set -euo pipefail

main() {
  local path
  path="${ROOT:-}$(pvesm path "$1")"
  if ! [ -r "$path" ]; then
    printf 'unknown\n'
  # A partition table or a file system begins within the first MiB; a new thin volume is all zeros.
  elif cmp --silent --bytes=1048576 "$path" /dev/zero; then
    printf 'empty\n'
  else
    printf 'written\n'
  fi
}

main "$@" </dev/null
