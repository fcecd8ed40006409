#!/usr/bin/env bash
# Loads models and keeps them loaded: load-models PORT TAG CONTEXT [TAG CONTEXT ...]
# It lies on the machine and runs after each start of Ollama (collab-homelab-models.service). A model that is not there yet is
# said and left out: one that is trained here comes with its first version. The others are loaded all the same.
set -euo pipefail

load() {
  local base="$1" tag="$2" body code
  body="{\"model\":\"$tag\",\"keep_alive\":-1,\"options\":{\"num_ctx\":$3}}"
  code="$(curl -sS --max-time 900 -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -d "$body" "$base/api/generate")"
  case "$code" in
    200) ;;
    404) echo "$tag is not there yet" >&2 ;;
    # A model that only embeds.
    *) curl -fsS --max-time 900 -o /dev/null -H 'Content-Type: application/json' -d "$body" "$base/api/embed" ;;
  esac
}

main() {
  local base="http://127.0.0.1:$1" failed=0
  shift
  curl -fsS --retry 60 --retry-delay 2 --retry-connrefused --max-time 10 -o /dev/null "$base/api/version"
  while (($# > 0)); do
    load "$base" "$1" "$2" || failed=1
    shift 2
  done
  return "$failed"
}

main "$@"
