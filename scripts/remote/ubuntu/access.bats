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
  SCRIPT="$BATS_TEST_DIRNAME/access.sh"
  RULES=$'table inet collab_homelab {\n  comment "abc123"\n}\n'
  TRIAL="$ROOT/var/lib/collab-homelab/access"
  CONFIRMED="$ROOT/etc/collab-homelab/firewall.nft"
  UNIT=collab-homelab-access-undo-at-boot.service
}

keys() {
  cat "$ROOT/home/homelab/.ssh/authorized_keys"
}

# Confirms the rules of the test with these keys.
confirm() {
  run bash "$SCRIPT" confirm abc123 homelab "$(printf %s "$1" | sha256sum | cut -d ' ' -f 1)"
}

# What a boot does: rules in force are gone, and so is the timer; systemd starts what is enabled and has its condition.
boot() {
  rm -f "$CALLS.rules"
  if grep -qs "enable --quiet $UNIT" "$CALLS" && [[ -e "$TRIAL/rules.next" || -e "$TRIAL/rules.undone" ]]; then
    sh "$TRIAL/undo"
  fi
  if [ -e "$CONFIRMED" ]; then cp "$CONFIRMED" "$CALLS.rules"; fi
}

# The time that a trial has ends, if there is a timer.
time_ends() {
  if [[ "$(grep -sE '^systemd-run|stop .*undo' "$CALLS" | tail -n 1)" == systemd-run* ]]; then sh "$TRIAL/undo"; fi
}

# Runs the script with these arguments, and kills it before its command of this number.
killed_at() {
  printf 'set -T; n=0; trap '\''((++n == %d)) && kill -9 $$'\'' DEBUG\n' "$1" >"$BATS_TEST_TMPDIR/env"
  shift
  BASH_ENV="$BATS_TEST_TMPDIR/env" bash "$SCRIPT" "$@"
}

afresh() {
  rm -rf "$ROOT" "$CALLS" "$CALLS.rules"
  mkdir -p "$ROOT/home/homelab/.ssh"
  echo before >"$ROOT/home/homelab/.ssh/authorized_keys"
}

@test "a trial is undone by the machine itself unless it is confirmed" {
  run bash "$SCRIPT" try 150 homelab "$RULES" "after"
  [ "$status" -eq 0 ]
  [ "$(keys)" = after ]
  # The undo is armed before anything is in force.
  [ "$(grep -n systemd-run "$CALLS" | cut -d : -f 1)" -lt "$(grep -n 'nft -f' "$CALLS" | cut -d : -f 1)" ]
  # To the second: systemd takes a minute of its own otherwise.
  grep -q 'systemd-run .*--on-active=150 --timer-property=AccuracySec=1s' "$CALLS"
  time_ends
  [ "$(keys)" = before ]
  [ ! -e "$CALLS.rules" ]
  confirm after
  [ "$status" -eq 3 ]
  [ ! -e "$CONFIRMED" ]
}

@test "a reboot undoes a trial too" {
  bash "$SCRIPT" try 150 homelab "$RULES" "after"
  grep -qx "ConditionPathExists=|$TRIAL/rules.next" "$ROOT/etc/systemd/system/$UNIT"
  grep -qx "ExecStart=/bin/sh $TRIAL/undo" "$ROOT/etc/systemd/system/$UNIT"
  run bash "$SCRIPT" state homelab
  [[ "$output" == *"trial=open"* ]]
  boot
  [ "$(keys)" = before ]
  confirm after
  [ "$status" -eq 3 ]
  run bash "$SCRIPT" state homelab
  [[ "$output" != *"trial=open"* ]]
}

@test "a second trial that was cut off goes back to what was before the first" {
  bash "$SCRIPT" try 150 homelab "$RULES" "first"
  bash "$SCRIPT" try 150 homelab "$RULES" "second"
  time_ends
  [ "$(keys)" = before ]
}

@test "what was confirmed stays, and an undo that comes late changes nothing" {
  bash "$SCRIPT" try 150 homelab "$RULES" "after"
  confirm after
  [ "$status" -eq 0 ]
  grep -q 'systemctl stop collab-homelab-access-undo.timer' "$CALLS"
  grep -q 'systemctl enable --quiet collab-homelab-firewall.service' "$CALLS"
  sh "$TRIAL/undo"
  boot
  [ "$(keys)" = after ]
  run bash "$SCRIPT" state homelab
  [[ "$output" == *"loaded=abc123"* ]]
  [[ "$output" == *"rules=$(printf %s "$RULES" | sha256sum | cut -d ' ' -f 1)"* ]]
}

@test "a confirmation whose answer was lost is one, and finishes what is left" {
  bash "$SCRIPT" try 150 homelab "$RULES" "after"
  confirm after
  rm "$CALLS"
  confirm after
  [ "$status" -eq 0 ]
  grep -q 'systemctl start collab-homelab-firewall.service' "$CALLS"
  confirm other
  [ "$status" -eq 3 ]
}

@test "keys that were undone are not confirmed by rules that stayed the same" {
  bash "$SCRIPT" try 150 homelab "$RULES" "after"
  confirm after
  bash "$SCRIPT" try 150 homelab "$RULES" "more"
  time_ends
  [ "$(keys)" = after ]
  confirm more
  [ "$status" -eq 3 ]
}

@test "a trial that is killed anywhere is undone, by its time and by a boot" {
  local at=0 ended=137 by
  while ((ended == 137)); do
    at=$((at + 1))
    for by in time_ends boot; do
      afresh
      ended=0
      killed_at "$at" try 150 homelab "$RULES" after || ended=$?
      "$by"
      [ "$(keys)" = before ]
      [ ! -e "$CALLS.rules" ]
    done
  done
  [ "$ended" -eq 0 ]
  [ "$at" -gt 30 ]
}

@test "so is the trial after one that was cut off" {
  local at=0 ended=137 by
  while ((ended == 137)); do
    at=$((at + 1))
    for by in time_ends boot; do
      afresh
      bash "$SCRIPT" try 150 homelab "$RULES" first
      ended=0
      killed_at "$at" try 150 homelab "$RULES" second || ended=$?
      "$by"
      [ "$(keys)" = before ]
      [ ! -e "$CALLS.rules" ]
    done
  done
  [ "$ended" -eq 0 ]
}

@test "a confirmation that is killed anywhere leaves all of the new or all of the old" {
  local at=0 ended=137 by sum news=0
  sum="$(printf %s after | sha256sum | cut -d ' ' -f 1)"
  while ((ended == 137)); do
    at=$((at + 1))
    for by in time_ends boot; do
      afresh
      bash "$SCRIPT" try 150 homelab "$RULES" after
      ended=0
      killed_at "$at" confirm abc123 homelab "$sum" || ended=$?
      "$by"
      if [ -e "$CONFIRMED" ]; then
        news=$((news + 1))
        [ "$(keys)" = after ]
        [ -e "$CALLS.rules" ]
        confirm after
        [ "$status" -eq 0 ]
      else
        [ "$(keys)" = before ]
        [ ! -e "$CALLS.rules" ]
      fi
    done
  done
  [ "$ended" -eq 0 ]
  [ "$news" -gt 2 ]
}

@test "half of the script does nothing" {
  head -c "$(($(wc -c <"$SCRIPT") / 2))" "$SCRIPT" | bash -s -- try 150 homelab "$RULES" after || true
  [ "$(keys)" = before ]
  [ ! -e "$CALLS" ]
}
