#!/usr/bin/env bash
# Installs the Python environment with MLX at /opt/mlx, for work on the CPU: mlx.sh DIGEST REQUIREMENT...
# Writes the digest of the requirements last. An environment without it is created again.
# All code is in functions, so that a script that arrives incomplete does nothing.
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
  # Writes into a file, not to the caller: a broken connection would kill the writer.
  if ! build "$venv" "$@" >"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    exit 1
  fi
  echo "$digest" >"$venv/.requirements"
}

main "$@"
