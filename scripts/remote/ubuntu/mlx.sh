#!/usr/bin/env bash
# The Python environment with MLX at /opt/mlx, for work on the CPU: mlx.sh DIGEST REQUIREMENT...
# The digest of the requirements is written last: an environment without it is made anew.
# Everything is in functions: a script of which only a part arrived does nothing.
set -euo pipefail

build() {
  local venv="$1"
  shift
  python3 -m venv --clear "$venv" || return
  "$venv/bin/python" -m pip install --disable-pip-version-check --no-input --retries 5 "$@"
}

main() {
  local digest="$1" venv="${ROOT:-}/opt/mlx" log="${ROOT:-}/var/log/collab-homelab/mlx.log"
  shift
  mkdir -p "$(dirname "$log")" "$(dirname "$venv")"
  rm -f "$venv/.requirements"
  # Into a file and not to the caller: what writes to a connection that broke would be killed in the middle.
  if ! build "$venv" "$@" >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    exit 1
  fi
  echo "$digest" >"$venv/.requirements"
}

main "$@"
