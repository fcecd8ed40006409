#!/usr/bin/env bats
# Keys and firewall are tried first, and kept only when a second session says so.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root" CALLS="$BATS_TEST_TMPDIR/calls"
  mkdir -p "$ROOT/home/homelab/.ssh" "$BATS_TEST_TMPDIR/bin"
  echo before >"$ROOT/home/homelab/.ssh/authorized_keys"
  # nft keeps the file that is in force; the others only say that they were called.
  cat >"$BATS_TEST_TMPDIR/bin/nft" <<'END'
#!/bin/sh
echo "nft $*" >>"$CALLS"
case "$1" in
  -f) cp "$2" "$CALLS.rules" ;;
  list) [ -e "$CALLS.rules" ] && sed 's/^  comment/\tcomment/' "$CALLS.rules" ;;
  delete) rm -f "$CALLS.rules" ;;
esac
END
  for name in systemctl systemd-run chown; do
    printf '#!/bin/sh\necho "%s $*" >>"$CALLS"\n' "$name" >"$BATS_TEST_TMPDIR/bin/$name"
  done
  chmod +x "$BATS_TEST_TMPDIR/bin/"*
  PATH="$BATS_TEST_TMPDIR/bin:$PATH"
  SCRIPT="$BATS_TEST_DIRNAME/ai-access.sh"
  RULES=$'table inet collab_homelab {\n  comment "abc123"\n}\n'
}

@test "a trial is undone by the machine itself unless it is confirmed" {
  run bash "$SCRIPT" try 150 homelab "$RULES" "after"
  [ "$status" -eq 0 ]
  [ "$(cat "$ROOT/home/homelab/.ssh/authorized_keys")" = after ]
  # The undo is armed before anything is in force.
  [ "$(grep -n systemd-run "$CALLS" | cut -d : -f 1)" -lt "$(grep -n 'nft -f' "$CALLS" | cut -d : -f 1)" ]
  sh "$ROOT/var/lib/collab-homelab/access/undo"
  [ "$(cat "$ROOT/home/homelab/.ssh/authorized_keys")" = before ]
  [ ! -e "$CALLS.rules" ]
  run bash "$SCRIPT" confirm abc123
  [ "$status" -eq 3 ]
  [ ! -e "$ROOT/etc/collab-homelab/firewall.nft" ]
}

@test "a second trial that was cut off goes back to what was before the first" {
  bash "$SCRIPT" try 150 homelab "$RULES" "first"
  bash "$SCRIPT" try 150 homelab "$RULES" "second"
  sh "$ROOT/var/lib/collab-homelab/access/undo"
  [ "$(cat "$ROOT/home/homelab/.ssh/authorized_keys")" = before ]
}

@test "what was confirmed stays, and an undo that comes late changes nothing" {
  bash "$SCRIPT" try 150 homelab "$RULES" "after"
  run bash "$SCRIPT" confirm abc123
  [ "$status" -eq 0 ]
  grep -q 'systemctl stop collab-homelab-access-undo.timer' "$CALLS"
  grep -q 'systemctl enable --quiet collab-homelab-firewall.service' "$CALLS"
  sh "$ROOT/var/lib/collab-homelab/access/undo"
  [ "$(cat "$ROOT/home/homelab/.ssh/authorized_keys")" = after ]
  run bash "$SCRIPT" state homelab
  [[ "$output" == *"loaded=abc123"* ]]
  [[ "$output" == *"rules=$(printf %s "$RULES" | sha256sum | cut -d ' ' -f 1)"* ]]
}

@test "half of the script does nothing" {
  head -c "$(($(wc -c <"$SCRIPT") / 2))" "$SCRIPT" | bash -s -- try 150 homelab "$RULES" after || true
  [ "$(cat "$ROOT/home/homelab/.ssh/authorized_keys")" = before ]
  [ ! -e "$CALLS" ]
}
