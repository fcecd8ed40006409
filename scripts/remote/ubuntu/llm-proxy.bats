#!/usr/bin/env bats
# The proxy starts only with a configuration that HAProxy accepts, and leaves nothing when it stops.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root" CALLS="$BATS_TEST_TMPDIR/calls" STATE="$BATS_TEST_TMPDIR/state"
  mkdir -p "$ROOT/etc/haproxy" "$ROOT/etc/collab-homelab" "$BATS_TEST_TMPDIR/programs" "$STATE"
  : >"$CALLS"
  echo "description new" >"$ROOT/etc/haproxy/haproxy.cfg"
  echo "aa assistant" >"$ROOT/etc/collab-homelab/llm-clients.map"
  # Accepts a configuration without the word broken, and prints an error for another one.
  cat >"$BATS_TEST_TMPDIR/programs/haproxy" <<'END'
#!/bin/bash
echo "haproxy $*" >>"$CALLS"
if grep -q broken "${!#}"; then
  # As the real one: with -q it says nothing.
  [[ " $* " == *' -q '* ]] || echo "[ALERT] unknown keyword 'broken'" >&2
  exit 1
fi
echo 'Configuration file is valid'
END
  # Files in $STATE record whether a unit is active and enabled, and the configuration of the last start.
  cat >"$BATS_TEST_TMPDIR/programs/systemctl" <<'END'
#!/bin/bash
echo "systemctl $*" >>"$CALLS"
words=()
now=
for word in "$@"; do
  case "$word" in
    --now) now=1 ;;
    --quiet) ;;
    *) words+=("$word") ;;
  esac
done
[[ "${words[1]}" == haproxy.service ]] || { echo "unit ${words[1]} is not known" >&2; exit 5; }
case "${words[0]}" in
  enable) touch "$STATE/enabled" ;;
  disable) rm -f "$STATE/enabled"; if [[ -n "$now" ]]; then rm -f "$STATE/active"; fi ;;
  reload-or-restart) cp "$ROOT/etc/haproxy/haproxy.cfg" "$STATE/active" ;;
  is-active) if [[ -e "$STATE/active" ]]; then echo active; else echo inactive; exit 3; fi ;;
  is-enabled) if [[ -e "$STATE/enabled" ]]; then echo enabled; else echo disabled; exit 1; fi ;;
  *) echo "systemctl ${words[0]} is not known" >&2; exit 64 ;;
esac
END
  # The admin socket. Exits with 1 if nothing listens, like socat.
  cat >"$BATS_TEST_TMPDIR/programs/socat" <<'END'
#!/bin/bash
[[ -e "$STATE/active" ]] || { echo 'E connect: Connection refused' >&2; exit 1; }
read -r command
case "$command" in
  'show info') printf 'Name: HAProxy\n'; sed 's/^description/description:/' "$STATE/active"; echo ;;
  'show map '*) sed 's/^/0x56328c0a5190 /' "${command#show map }"; echo ;;
  *) echo "unknown: $command" >&2; exit 64 ;;
esac
END
  chmod +x "$BATS_TEST_TMPDIR/programs/"*
  PATH="$BATS_TEST_TMPDIR/programs:$PATH"
  SCRIPT="$BATS_TEST_DIRNAME/llm-proxy.sh"
}

@test "start checks the configuration, then enables and starts the unit" {
  run bash "$SCRIPT" start
  [ "$status" -eq 0 ]
  [ "$(cat "$CALLS")" = "haproxy -c -f $ROOT/etc/haproxy/haproxy.cfg
systemctl enable --quiet haproxy.service
systemctl reload-or-restart haproxy.service" ]
  run bash "$SCRIPT" state
  [ "$status" -eq 0 ]
  digest="$(echo 'aa assistant' | sha256sum | cut -d ' ' -f 1)"
  [ "$output" = "active=active
enabled=enabled
mark=new
file=$digest
keys=$digest" ]
}

@test "start stops before it changes the unit if HAProxy rejects the configuration" {
  bash "$SCRIPT" start
  : >"$CALLS"
  echo broken >"$ROOT/etc/haproxy/haproxy.cfg"
  run bash "$SCRIPT" start
  [ "$status" -ne 0 ]
  [[ "$output" == *"unknown keyword 'broken'"* ]]
  run grep systemctl "$CALLS"
  [ "$status" -eq 1 ]
  run bash "$SCRIPT" state
  [[ "$output" == *"active=active"*"mark=new"* ]]
}

@test "stop disables and stops the unit, removes the keys, and may run twice" {
  bash "$SCRIPT" start
  for _ in 1 2; do
    run bash "$SCRIPT" stop
    [ "$status" -eq 0 ]
    [ ! -e "$ROOT/etc/collab-homelab/llm-clients.map" ]
  done
  run bash "$SCRIPT" state
  [ "$status" -eq 0 ]
  [ "$output" = "active=inactive
enabled=disabled
mark=
file=
keys=" ]
}

@test "a unit that does not stop keeps its keys, so that the next run sees the proxy" {
  bash "$SCRIPT" start
  printf '#!/bin/sh\necho "Job for haproxy.service canceled." >&2\nexit 1\n' >"$BATS_TEST_TMPDIR/programs/systemctl"
  run bash "$SCRIPT" stop
  [ "$status" -ne 0 ]
  [ -e "$ROOT/etc/collab-homelab/llm-clients.map" ]
}
