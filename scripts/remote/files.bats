#!/usr/bin/env bats
# A file that is brought to a machine, and the kernel that a host boots.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root" CALLS="$BATS_TEST_TMPDIR/calls"
  mkdir -p "$ROOT"/{bin,etc/kernel}
  PATH="$ROOT/bin:$PATH"
  file="$ROOT/etc/folder of ours/a file"
  : >"$CALLS"
}

write() {
  local sum
  sum=$(printf '%s' "$2" | sha256sum | cut -d' ' -f1)
  printf '%s' "${3-$2}" | sh -c "$(cat "$BATS_TEST_DIRNAME/write-file.sh")" sh "$1" 0640 "$sum"
}

boot_tool() {
  printf '#!/bin/sh\necho "$*" >>"$CALLS"\n%s\n' "$1" >"$ROOT/bin/proxmox-boot-tool"
  chmod +x "$ROOT/bin/proxmox-boot-tool"
}

pin() {
  bash -s -- 6.17.2-1-pve <"$BATS_TEST_DIRNAME/proxmox/pin-kernel.sh"
}

@test "a file is written whole, with its mode, and its folder is made" {
  write "$file" 'one $(two) "three"'
  [ "$(cat "$file")" = 'one $(two) "three"' ]
  [ "$(stat -c %a "$file")" = 640 ]
}

@test "half a file leaves the one that was there" {
  write "$file" first
  run write "$file" second sec
  [ "$status" -eq 1 ]
  [[ "$output" == *'not all of it arrived'* ]]
  [ "$(cat "$file")" = first ]
  [ ! -e "$file.next" ]
}

@test "a kernel is pinned; partitions of proxmox-boot-tool are told" {
  boot_tool true
  pin
  [ "$(cat "$CALLS")" = 'kernel pin 6.17.2-1-pve' ]
  echo AAAA-BBBB >"$ROOT/etc/kernel/proxmox-boot-uuids"
  pin
  [ "$(tail -n 1 "$CALLS")" = refresh ]
}

@test "a pin that the partitions were not told of is taken back" {
  echo AAAA-BBBB >"$ROOT/etc/kernel/proxmox-boot-uuids"
  boot_tool '[ "$1" != refresh ]'
  run pin
  [ "$status" -eq 1 ]
  [ "$(tail -n 1 "$CALLS")" = 'kernel unpin' ]
}
