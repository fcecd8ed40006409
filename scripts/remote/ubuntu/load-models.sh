#!/usr/bin/env bash
# Loads models and keeps them loaded: load-models PORT TAG CONTEXT [TAG CONTEXT ...]
# It lies on the machine and runs after each start of Ollama (collab-homelab-models.service).
set -euo pipefail

main() {
  local base="http://127.0.0.1:$1" tag context body
  shift
  curl -fsS --retry 60 --retry-delay 2 --retry-connrefused --max-time 10 -o /dev/null "$base/api/version"
  while (($# > 0)); do
    tag="$1" context="$2"
    shift 2
    body="{\"model\":\"$tag\",\"keep_alive\":-1,\"options\":{\"num_ctx\":$context}}"
    # A model that only embeds is refused by the first.
    curl -fsS --max-time 900 -o /dev/null -H 'Content-Type: application/json' -d "$body" "$base/api/generate" ||
      curl -fsS --max-time 900 -o /dev/null -H 'Content-Type: application/json' -d "$body" "$base/api/embed"
  done
}

main "$@"
