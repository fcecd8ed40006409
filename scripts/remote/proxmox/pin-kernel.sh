#!/usr/bin/env bash
# Makes a kernel of the Proxmox host the one that it boots: pin-kernel.sh KERNEL
set -euo pipefail

main() {
  proxmox-boot-tool kernel pin "$1"
  # Where the kernels are on boot partitions of their own (ZFS), they are told with a refresh only.
  [ -s "${ROOT:-}/etc/kernel/proxmox-boot-uuids" ] || return 0
  proxmox-boot-tool refresh || {
    proxmox-boot-tool kernel unpin
    exit 1
  }
}

main "$@"
