#!/usr/bin/env bash
# Moves a downloaded image to its place, if it has the expected digest.
# Arguments: folder, file name, digest, whether it is compressed with xz (yes or no).
set -euo pipefail

main() {
  local image="${ROOT:-}$1/$2" wanted=$3 packed=$4 got
  got=$(sha256sum "$image.part" | cut -d ' ' -f 1)
  if [ "$got" != "$wanted" ]; then
    echo "$image.part has SHA-256 $got, wanted is $wanted" >&2
    exit 1
  fi
  if [ "$packed" = yes ]; then
    # Keeps the file sparse.
    xz --decompress --stdout "$image.part" >"$image.next"
  else
    ln -f "$image.part" "$image.next"
  fi
  printf '%s\n' "$wanted" >"$image.sha256"
  sync "$image.next" "$image.sha256"
  mv "$image.next" "$image"
  rm -f "$image.part"
}

# Runs nothing before the whole script has arrived.
main "$@" </dev/null
