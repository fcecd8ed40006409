#!/usr/bin/env bash
# Installs what is needed to check Ubuntu's signatures: Debian's packages ubuntu-keyring and gpgv.
set -euo pipefail

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ubuntu-keyring gpgv
}

main() {
  if install; then return; fi
  # A host without a subscription gets errors from Proxmox' enterprise lists; those of Debian count.
  apt-get update || true
  install
}

# Nothing runs before the whole script has arrived.
main "$@" </dev/null
