#!/usr/bin/env bash
# Downloads an image beside the place where it will be used, and prints the digest of what came. Goes on with what an
# earlier run left.
# Arguments: folder, file name, address.
set -euo pipefail

fetch() {
  # Gives up on a connection that brings nothing for two minutes.
  curl --fail --location --silent --show-error --connect-timeout 30 --retry 5 --retry-delay 5 \
    --speed-limit 1 --speed-time 120 --continue-at - --output "$1" "$2"
}

main() {
  local folder="${ROOT:-}$1" url=$3 code=0
  local part="$folder/$2.part"
  mkdir -p "$folder"
  fetch "$part" "$url" || code=$?
  # The server (33) or curl (36) cannot go on in the middle of this file: from its start.
  if [ "$code" = 33 ] || [ "$code" = 36 ]; then
    rm -f "$part"
    code=0
    fetch "$part" "$url" || code=$?
  fi
  [ "$code" = 0 ] || exit "$code"
  sha256sum "$part" | cut -d ' ' -f 1
}

# Nothing runs before the whole script has arrived.
main "$@" </dev/null
