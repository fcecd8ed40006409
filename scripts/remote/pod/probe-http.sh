#!/bin/sh
# Sends one HTTP request from a container, with the programs that it finds there, and prints the answer. Exits with 3 when the
# container has no program for it, and with 1 when there is no answer.
# Arguments: address, seconds to wait, and the name of the variable with a key, if one is needed.
set -eu

url=$1 seconds=$2 key=
if [ -n "${3:-}" ]; then eval "key=\${$3:-}"; fi

has() {
  command -v "$1" >/dev/null 2>&1
}

if has curl; then
  curl --fail --silent --show-error --max-time "$seconds" ${key:+--header "Authorization: Bearer $key"} "$url" || exit 1
elif has wget; then
  wget -q -T "$seconds" ${key:+--header "Authorization: Bearer $key"} -O - "$url" || exit 1
elif has python3; then
  KEY=$key python3 -c 'import os, sys, urllib.request
key = os.environ["KEY"]
request = urllib.request.Request(sys.argv[1], headers={"Authorization": "Bearer " + key} if key else {})
print(urllib.request.urlopen(request, timeout=float(sys.argv[2])).read().decode())' \
    "$url" "$seconds" || exit 1
else
  exit 3
fi
