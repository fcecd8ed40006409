#!/usr/bin/env bash
# Downloads an image next to its final place, and prints the digest of the download. Resumes the download of an
# earlier run.
# Arguments: folder, file name, address.
set -euo pipefail

fetch() {
  # Stops a connection that transfers nothing for two minutes.
  curl --fail --location --silent --show-error --connect-timeout 30 --retry 5 --retry-delay 5 \
    --speed-limit 1 --speed-time 120 --continue-at - --output "$1" "$2"
}

main() {
  local folder="${ROOT:-}$1" url=$3 code=0
  local part="$folder/$2.part"
  mkdir -p "$folder"
  fetch "$part" "$url" || code=$?
  # The server (33) or curl (36) cannot resume this file, so the download starts again.
  if [ "$code" = 33 ] || [ "$code" = 36 ]; then
    rm -f "$part"
    code=0
    fetch "$part" "$url" || code=$?
  fi
  [ "$code" = 0 ] || exit "$code"
  sha256sum "$part" | cut -d ' ' -f 1
}

# Runs nothing before the whole script has arrived.
main "$@" </dev/null
