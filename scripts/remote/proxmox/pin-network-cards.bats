#!/usr/bin/env bats
# Pins the names of all network cards, or of none.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root"
  STATE="$ROOT/var/lib/collab-homelab"
  LINKS="$ROOT/usr/local/lib/systemd/network"
  mkdir -p "$ROOT"/{bin,etc/network,etc/pve/nodes/pve} "$LINKS"
  PATH="$ROOT/bin:$PATH"
  echo theirs >"$LINKS/50-theirs.link"
  # Acts like the tool: skips a card that has a link file, and writes the new interfaces last.
  tool 'true'
}

tool() {
  cat >"$ROOT/bin/pve-network-interface-pinning" <<END
#!/bin/bash
[ ! -e "\$ROOT/usr/local/lib/systemd/network/50-pmx-nic0.link" ] || { echo 'Nothing to do'; exit 0; }
echo new >"\$ROOT/usr/local/lib/systemd/network/50-pmx-nic0.link"
$1
echo 'bridge-ports nic0' >"\$ROOT/etc/network/interfaces.new"
END
  chmod +x "$ROOT/bin/pve-network-interface-pinning"
}

pin() {
  bash -s <"$BATS_TEST_DIRNAME/pin-network-cards.sh"
}

pinned() {
  [ "$(ls "$LINKS" | tr '\n' ' ')" = '50-pmx-nic0.link 50-theirs.link ' ]
  [ "$(cat "$ROOT/etc/network/interfaces.new")" = 'bridge-ports nic0' ]
  [ ! -e "$STATE/pinning" ]
}

@test "writes link files and interfaces together" {
  pin
  pinned
}

@test "after an interruption between the two, the next run undoes and repeats both" {
  tool 'kill -KILL $PPID; exit 9'
  run pin
  [ -e "$STATE/pinning" ]
  [ -e "$LINKS/50-pmx-nic0.link" ]
  tool 'true'
  pin
  pinned
}

@test "a failure leaves everything as it was" {
  tool 'exit 7'
  run pin
  [ "$status" -ne 0 ]
  [ "$(ls "$LINKS")" = 50-theirs.link ]
  [ ! -e "$ROOT/etc/network/interfaces.new" ]
  [ ! -e "$STATE/pinning" ]
}
