#!/usr/bin/env bash
# Prints the free bytes for the models of Ollama, as free=BYTES.
set -euo pipefail

main() {
  local folder="${ROOT:-}/usr/share/ollama/.ollama/models"
  # Before the first model the folder does not exist. Its nearest existing parent is on the same disk.
  while [[ ! -d "$folder" ]]; do folder="$(dirname "$folder")"; done
  echo "free=$(df --output=avail --block-size=1 "$folder" | tail -n 1 | tr -d ' ')"
}

main "$@"
