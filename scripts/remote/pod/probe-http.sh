#!/bin/sh
# Asks one address over HTTP from where it runs, a container with whatever is in it, and prints the answer. Ends with 3 when
# no program here can ask, and with 1 when there is no answer.
# Arguments: address, seconds to wait.
set -eu

url=$1 seconds=$2

has() {
  command -v "$1" >/dev/null 2>&1
}

if has curl; then
  curl --fail --silent --show-error --max-time "$seconds" "$url" || exit 1
elif has wget; then
  wget -q -T "$seconds" -O - "$url" || exit 1
elif has python3; then
  python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=float(sys.argv[2])).read().decode())' \
    "$url" "$seconds" || exit 1
else
  exit 3
fi
