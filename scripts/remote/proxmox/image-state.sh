#!/usr/bin/env bash
# Prints whether an image is there, the digest of the download that it comes from, and the room for one.
# Reads only. Arguments: folder, file name.
set -euo pipefail

main() {
  local folder="${ROOT:-}$1" file=$2
  if [ -s "$folder/$file" ] && [ -s "$folder/$file.sha256" ]; then
    printf 'there %s\n' "$(head -n 1 "$folder/$file.sha256")"
  else
    printf 'absent\n'
  fi
  # The folder is made with the first image; until then the one above it tells.
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  printf 'free %s\n' "$(df --output=avail --block-size=1 "$folder" | tail -n 1 | tr -d ' ')"
}

main "$@" </dev/null
