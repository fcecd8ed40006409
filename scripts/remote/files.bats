#!/usr/bin/env bats
# Writing a file on a machine, and pinning the kernel of a host.

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

@test "writes a complete file with its mode, and creates its folder" {
  write "$file" 'one $(two) "three"'
  [ "$(cat "$file")" = 'one $(two) "three"' ]
  [ "$(stat -c %a "$file")" = 640 ]
}

@test "an incomplete file does not replace the existing one" {
  write "$file" first
  run write "$file" second sec
  [ "$status" -eq 1 ]
  [[ "$output" == *'not all of it arrived'* ]]
  [ "$(cat "$file")" = first ]
  [ ! -e "$file.next" ]
}

@test "pins a kernel, and refreshes the partitions of proxmox-boot-tool" {
  boot_tool true
  pin
  [ "$(cat "$CALLS")" = 'kernel pin 6.17.2-1-pve' ]
  echo AAAA-BBBB >"$ROOT/etc/kernel/proxmox-boot-uuids"
  pin
  [ "$(tail -n 1 "$CALLS")" = refresh ]
}

@test "undoes a pin if the refresh of the partitions fails" {
  echo AAAA-BBBB >"$ROOT/etc/kernel/proxmox-boot-uuids"
  boot_tool '[ "$1" != refresh ]'
  run pin
  [ "$status" -eq 1 ]
  [ "$(tail -n 1 "$CALLS")" = 'kernel unpin' ]
}
