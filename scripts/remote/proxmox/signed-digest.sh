#!/usr/bin/env bash
# Prints the digest of a file from Ubuntu's signed list.
# Arguments: address of the list, name of the file in it, fingerprint of the key that must have signed it.
set -euo pipefail

fetch() {
  curl --fail --location --silent --show-error --connect-timeout 30 --retry 5 --retry-delay 5 --output "$2" "$1"
}

main() {
  local list=$1 name=$2 signer=$3 status digest
  local keyring="${ROOT:-}/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg"
  work=$(mktemp -d "${ROOT:-}/tmp/collab-homelab.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  fetch "$list" "$work/list"
  fetch "$list.gpg" "$work/list.gpg"

  # gpgv also fails when a second signature is from an unknown key. A good signature of this key is enough.
  status=$(gpgv --status-fd 1 --keyring "$keyring" "$work/list.gpg" "$work/list" 2>/dev/null) || true
  if grep -qE '^\[GNUPG:\] (BADSIG|EXPSIG|EXPKEYSIG|REVKEYSIG)' <<<"$status" ||
    ! grep -qE "^\[GNUPG:\] VALIDSIG .* $signer\$" <<<"$status"; then
    echo "$list must be signed by $signer, and is not" >&2
    exit 1
  fi
  digest=$(awk -v name="$name" '$2 == "*" name || $2 == name { print $1 }' "$work/list")
  if ! [[ "$digest" =~ ^[0-9a-f]{64}$ ]]; then
    echo "$list must have one digest of $name, and has not" >&2
    exit 1
  fi
  printf '%s\n' "$digest"
}

# Runs nothing before the whole script has arrived.
main "$@" </dev/null
