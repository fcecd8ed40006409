#!/usr/bin/env bash
# Lets Ollama pull a model: pull.sh PORT TAG
# Ollama resumes an interrupted pull. The timeout grows with the size of the model: 10 minutes, plus a second for each 2 MB
# (16 Mbit/s).
set -euo pipefail

readonly PROGRESS="${ROOT:-}/run/collab-homelab/pull.ndjson"

# Total bytes and completed bytes, summed over the known layers.
progress() {
  awk -F '"' '
    /"total":/ {
      digest = $0; sub(/.*"digest":"/, "", digest); sub(/".*/, "", digest)
      size = $0; sub(/.*"total":/, "", size); sub(/[^0-9].*/, "", size)
      there = $0; if (!sub(/.*"completed":/, "", there)) there = 0; sub(/[^0-9].*/, "", there)
      total[digest] = size; completed[digest] = there
    }
    END { for (digest in total) { all += total[digest]; got += completed[digest] } printf "%.0f %.0f\n", all, got }
  ' "$PROGRESS"
}

pull() {
  local port="$1" tag="$2" begin=$SECONDS child total ended last
  mkdir -p "$(dirname "$PROGRESS")"
  : >"$PROGRESS"
  # Keeps the body of an error, which has the reason.
  curl --fail-with-body -sSN --connect-timeout 10 -o "$PROGRESS" -H 'Content-Type: application/json' \
    -d "{\"model\":\"$tag\",\"stream\":true}" "http://127.0.0.1:$port/api/pull" </dev/null &
  child=$!
  # Ollama stops when its client is gone. This script stops when its caller is gone and the echo below fails.
  # shellcheck disable=SC2064
  trap "kill $child 2>/dev/null || true" EXIT
  while kill -0 "$child" 2>/dev/null; do
    read -r total _ < <(progress)
    if ((SECONDS - begin > 600 + total / 2000000)); then
      echo "the pull of $tag ($total bytes) did not end within $((SECONDS - begin)) s" >&2
      exit 1
    fi
    echo .
    sleep 2
  done
  ended=0
  wait "$child" || ended=$?
  trap - EXIT
  last="$(tail -n 1 "$PROGRESS")"
  if ((ended != 0)) || [[ "$last" != *'"status":"success"'* ]]; then
    echo "the pull of $tag ended with ${ended}, and Ollama said last: ${last:0:400}" >&2
    exit 1
  fi
}

main() {
  case "$1" in
    # Progress of the running pull: total and completed.
    progress) if [[ -f "$PROGRESS" ]]; then progress; else echo 0 0; fi ;;
    *) pull "$@" ;;
  esac
}

main "$@"
