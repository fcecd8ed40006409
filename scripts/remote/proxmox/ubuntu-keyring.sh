#!/usr/bin/env bash
# Installs Debian's packages ubuntu-keyring and gpgv, to check Ubuntu's signatures.
set -euo pipefail

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ubuntu-keyring gpgv
}

main() {
  if install; then return; fi
  # Without a subscription, the enterprise lists of Proxmox fail. Only the lists of Debian are needed.
  apt-get update || true
  install
}

# Runs nothing before the whole script has arrived.
main "$@" </dev/null
