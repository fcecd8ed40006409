#!/usr/bin/env bash
# Puts a downloaded image into its place, if it has the digest that is wanted.
# Arguments: folder, file name, digest, whether it is packed with xz (yes or no).
set -euo pipefail

main() {
  local image="${ROOT:-}$1/$2" wanted=$3 packed=$4 got
  got=$(sha256sum "$image.part" | cut -d ' ' -f 1)
  if [ "$got" != "$wanted" ]; then
    echo "$image.part has SHA-256 $got, wanted is $wanted" >&2
    exit 1
  fi
  if [ "$packed" = yes ]; then
    # The zeros in it stay holes.
    xz --decompress --stdout "$image.part" >"$image.next"
  else
    ln -f "$image.part" "$image.next"
  fi
  printf '%s\n' "$wanted" >"$image.sha256"
  sync "$image.next" "$image.sha256"
  mv "$image.next" "$image"
  rm -f "$image.part"
}

# Nothing runs before the whole script has arrived.
main "$@" </dev/null
