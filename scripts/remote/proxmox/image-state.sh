#!/usr/bin/env bash
# Prints whether an image exists, the digest of its download, and the free space.
# Reads only. Arguments: folder, file name.
set -euo pipefail

main() {
  local folder="${ROOT:-}$1" file=$2
  if [ -s "$folder/$file" ] && [ -s "$folder/$file.sha256" ]; then
    printf 'there %s\n' "$(head -n 1 "$folder/$file.sha256")"
  else
    printf 'absent\n'
  fi
  # The first image creates the folder. Until then, its parent shows the free space.
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  printf 'free %s\n' "$(df --output=avail --block-size=1 "$folder" | tail -n 1 | tr -d ' ')"
}

main "$@" </dev/null
