#!/usr/bin/env bats
# Arming, confirming and undoing a boot with changes.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root"
  STATE="$ROOT/var/lib/collab-homelab"
  CALLS="$BATS_TEST_TMPDIR/calls"
  export CALLS
  mkdir -p "$ROOT"/{bin,etc/network,etc/kernel,etc/default,etc/modprobe.d,proc/sys/kernel/random,etc/pve/nodes/pve} \
    "$ROOT"/{etc/systemd,usr/local/lib/systemd}/network
  PATH="$ROOT/bin:$PATH"
  : >"$CALLS"
  for name in systemctl update-grub update-initramfs proxmox-boot-tool; do
    printf '#!/bin/bash\necho "%s $*" >>"$CALLS"\n' "$name" >"$ROOT/bin/$name"
    chmod +x "$ROOT/bin/$name"
  done
  echo pve >"$ROOT/etc/hostname"
  : >"$ROOT/etc/default/grub"
  echo 'bridge-ports enp1s0' >"$ROOT/etc/network/interfaces"
  echo 'root=ZFS quiet' >"$ROOT/etc/kernel/cmdline"
  echo 'theirs' >"$ROOT/usr/local/lib/systemd/network/50-theirs.link"
  boot first
}

boot() {
  echo "$1" >"$ROOT/proc/sys/kernel/random/boot_id"
}

arm() {
  bash -s -- /etc/modprobe.d/ours.conf /etc/kernel/cmdline /etc/network/interfaces <"$BATS_TEST_DIRNAME/undo-arm.sh"
}

undo() {
  bash "$BATS_TEST_DIRNAME/undo.sh"
}

confirm() {
  bash -s <"$BATS_TEST_DIRNAME/undo-confirm.sh"
}

change() {
  echo 'blacklist amdgpu' >"$ROOT/etc/modprobe.d/ours.conf"
  echo 'root=ZFS quiet iommu=pt' >"$ROOT/etc/kernel/cmdline"
  echo 'bridge-ports nic0' >"$ROOT/etc/network/interfaces"
  echo 'ours' >"$ROOT/usr/local/lib/systemd/network/50-pmx-nic0.link"
  echo 'rules' >"$ROOT/etc/pve/nodes/pve/host.fw"
}

as_before() {
  [ ! -e "$ROOT/etc/modprobe.d/ours.conf" ]
  [ ! -e "$ROOT/usr/local/lib/systemd/network/50-pmx-nic0.link" ]
  [ ! -e "$ROOT/etc/pve/nodes/pve/host.fw" ]
  [ "$(cat "$ROOT/etc/kernel/cmdline")" = 'root=ZFS quiet' ]
  [ "$(cat "$ROOT/etc/network/interfaces")" = 'bridge-ports enp1s0' ]
  [ "$(cat "$ROOT/usr/local/lib/systemd/network/50-theirs.link")" = theirs ]
}

@test "undoes a boot without confirmation once" {
  arm
  change
  boot second
  : >"$CALLS"
  undo
  as_before
  [ "$(tr '\n' ';' <"$CALLS")" = 'update-grub ;update-initramfs -u -k all;systemctl disable collab-homelab-undo.timer;systemctl --no-block reboot;' ]
  [ -e "$STATE/undone" ]
  boot third
  : >"$CALLS"
  undo
  [ ! -s "$CALLS" ]
}

@test "undoes nothing in the boot in which it was armed" {
  arm
  change
  : >"$CALLS"
  undo
  [ -e "$ROOT/etc/modprobe.d/ours.conf" ]
  [ ! -s "$CALLS" ]
}

@test "never undoes a confirmed boot, not even after a later power cut" {
  arm
  change
  boot second
  confirm
  undo
  boot third
  : >"$CALLS"
  undo
  [ -e "$ROOT/etc/modprobe.d/ours.conf" ]
  [ ! -s "$CALLS" ]
}

@test "arming again keeps the copies of the last good boot" {
  arm
  change
  arm
  boot second
  undo
  as_before
}

@test "arming again after a boot without the changes keeps the copies of the last good boot" {
  arm
  change
  boot second
  arm
  undo
  [ -e "$ROOT/etc/modprobe.d/ours.conf" ]
  boot third
  undo
  as_before
}

@test "after a confirmation, the next undo restores that state, and the first copies stay" {
  arm
  change
  boot second
  confirm
  arm
  echo 'blacklist everything' >"$ROOT/etc/modprobe.d/ours.conf"
  boot third
  undo
  [ "$(cat "$ROOT/etc/modprobe.d/ours.conf")" = 'blacklist amdgpu' ]
  [ "$(cat "$STATE/original/files/etc/kernel/cmdline")" = 'root=ZFS quiet' ]
}

@test "an interrupted undo starts again at the next boot" {
  arm
  change
  boot second
  printf '#!/bin/bash\nkill -KILL $PPID\n' >"$ROOT/bin/update-initramfs"
  run undo
  [ "$status" -ne 0 ]
  [ -e "$STATE/armed" ]
  printf '#!/bin/bash\n' >"$ROOT/bin/update-initramfs"
  boot third
  undo
  as_before
  [ ! -e "$STATE/armed" ]
}

@test "interrupted arming arms nothing, and the next run repeats it completely" {
  printf '#!/bin/bash\nkill -KILL $PPID\n' >"$ROOT/bin/systemctl"
  run arm
  [ ! -e "$STATE/armed" ]
  printf '#!/bin/bash\n' >"$ROOT/bin/systemctl"
  arm
  change
  boot second
  undo
  as_before
}

@test "restores names of cards in the SDN of the cluster; keeps files that did not exist before" {
  mkdir "$ROOT/etc/pve/sdn"
  echo 'interface enp1s0' >"$ROOT/etc/pve/sdn/fabrics.cfg"
  arm
  change
  echo 'interface nic0' >"$ROOT/etc/pve/sdn/fabrics.cfg"
  : >"$ROOT/etc/pve/sdn/controllers.cfg"
  boot second
  undo
  as_before
  [ "$(cat "$ROOT/etc/pve/sdn/fabrics.cfg")" = 'interface enp1s0' ]
  [ -e "$ROOT/etc/pve/sdn/controllers.cfg" ]
}

@test "refreshes boot partitions of proxmox-boot-tool" {
  echo AAAA-BBBB >"$ROOT/etc/kernel/proxmox-boot-uuids"
  arm
  change
  boot second
  undo
  grep -qx 'proxmox-boot-tool refresh' "$CALLS"
}
