#!/usr/bin/env bash
# Says how many bytes are free for the models of Ollama, as free=BYTES.
set -euo pipefail

main() {
  local folder="${ROOT:-}/usr/share/ollama/.ollama/models"
  # Before the first model there is no such folder; its disk is that of the nearest one above.
  while [[ ! -d "$folder" ]]; do folder="$(dirname "$folder")"; done
  echo "free=$(df --output=avail --block-size=1 "$folder" | tail -n 1 | tr -d ' ')"
}

main "$@"
