#!/usr/bin/env bats
# Boot loader entries, initramfs and the options of systemd-boot.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root" CALLS="$BATS_TEST_TMPDIR/calls"
  mkdir -p "$ROOT"/{bin,etc/kernel,proc/sys/kernel/random}
  PATH="$ROOT/bin:$PATH"
  for name in update-grub update-initramfs proxmox-boot-tool; do program "$name" true; done
  echo boot-1 >"$ROOT/proc/sys/kernel/random/boot_id"
  : >"$CALLS"
}

program() {
  printf '#!/bin/bash\necho "%s $*" >>"$CALLS"\n%s\n' "$1" "$2" >"$ROOT/bin/$1"
  chmod +x "$ROOT/bin/$1"
}

make() {
  bash -s -- "$@" <"$BATS_TEST_DIRNAME/boot-files.sh"
}

options() {
  bash -s -- "$@" <"$BATS_TEST_DIRNAME/kernel-options.sh"
}

@test "GRUB alone" {
  make abc grub
  [ "$(tr '\n' ';' <"$CALLS")" = 'update-grub ;update-initramfs -u -k all;' ]
  [ "$(cat "$ROOT/var/lib/collab-homelab/boot-files")" = 'abc boot-1' ]
}

@test "systemd-boot on partitions of proxmox-boot-tool" {
  echo AAAA-BBBB >"$ROOT/etc/kernel/proxmox-boot-uuids"
  make abc systemd-boot
  [ "$(tr '\n' ';' <"$CALLS")" = 'update-initramfs -u -k all;proxmox-boot-tool refresh;' ]
}

@test "does not record a failed build" {
  make abc grub
  program update-initramfs 'exit 1'
  run make def grub
  [ "$status" -ne 0 ]
  [ ! -e "$ROOT/var/lib/collab-homelab/boot-files" ]
}

@test "options replace only the line that was read before" {
  echo 'root=ZFS=rpool quiet' >"$ROOT/etc/kernel/cmdline"
  options 'root=ZFS=rpool quiet' 'root=ZFS=rpool quiet iommu=pt'
  [ "$(cat "$ROOT/etc/kernel/cmdline")" = 'root=ZFS=rpool quiet iommu=pt' ]
  run options 'root=ZFS=rpool quiet' 'x'
  [ "$status" -ne 0 ]
  [ "$(cat "$ROOT/etc/kernel/cmdline")" = 'root=ZFS=rpool quiet iommu=pt' ]
}
