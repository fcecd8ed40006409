#!/usr/bin/env bats
# Keys and firewall rules start as a trial. A second session must confirm them.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root" CALLS="$BATS_TEST_TMPDIR/calls"
  mkdir -p "$ROOT/home/homelab/.ssh" "$BATS_TEST_TMPDIR/bin"
  echo before >"$ROOT/home/homelab/.ssh/authorized_keys"
  # nft records the active file. The others only record their calls.
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

# Simulates a boot: active rules and the timer are gone; systemd starts enabled units whose condition is true.
boot() {
  rm -f "$CALLS.rules"
  if grep -qs "enable --quiet $UNIT" "$CALLS" && [[ -e "$TRIAL/rules.next" || -e "$TRIAL/rules.undone" ]]; then
    sh "$TRIAL/undo"
  fi
  if [ -e "$CONFIRMED" ]; then cp "$CONFIRMED" "$CALLS.rules"; fi
}

# Ends the time of a trial, if there is a timer.
time_ends() {
  if [[ "$(grep -sE '^systemd-run|stop .*undo' "$CALLS" | tail -n 1)" == systemd-run* ]]; then sh "$TRIAL/undo"; fi
}

# Runs the script with these arguments, and kills it before the command with this number.
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

@test "the machine undoes a trial that is not confirmed" {
  run bash "$SCRIPT" try 150 homelab "$RULES" "after"
  [ "$status" -eq 0 ]
  [ "$(keys)" = after ]
  # The undo is armed before the rules are active.
  [ "$(grep -n systemd-run "$CALLS" | cut -d : -f 1)" -lt "$(grep -n 'nft -f' "$CALLS" | cut -d : -f 1)" ]
  # Accurate to the second. The default accuracy of systemd is one minute.
  grep -q 'systemd-run .*--on-active=150 --timer-property=AccuracySec=1s' "$CALLS"
  time_ends
  [ "$(keys)" = before ]
  [ ! -e "$CALLS.rules" ]
  confirm after
  [ "$status" -eq 3 ]
  [ ! -e "$CONFIRMED" ]
}

@test "a reboot also undoes a trial" {
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

@test "an interrupted second trial restores the state before the first" {
  bash "$SCRIPT" try 150 homelab "$RULES" "first"
  bash "$SCRIPT" try 150 homelab "$RULES" "second"
  time_ends
  [ "$(keys)" = before ]
}

@test "a confirmed trial stays, and a late undo changes nothing" {
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

@test "repeating a confirmation whose answer was lost completes it" {
  bash "$SCRIPT" try 150 homelab "$RULES" "after"
  confirm after
  rm "$CALLS"
  confirm after
  [ "$status" -eq 0 ]
  grep -q 'systemctl start collab-homelab-firewall.service' "$CALLS"
  confirm other
  [ "$status" -eq 3 ]
}

@test "unchanged rules do not confirm keys that were undone" {
  bash "$SCRIPT" try 150 homelab "$RULES" "after"
  confirm after
  bash "$SCRIPT" try 150 homelab "$RULES" "more"
  time_ends
  [ "$(keys)" = after ]
  confirm more
  [ "$status" -eq 3 ]
}

@test "a trial that is killed at any command is undone by its timer and by a boot" {
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

@test "a trial after an interrupted one is undone too" {
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

@test "a confirmation that is killed at any command leaves the complete new or old state" {
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

@test "an incomplete script does nothing" {
  head -c "$(($(wc -c <"$SCRIPT") / 2))" "$SCRIPT" | bash -s -- try 150 homelab "$RULES" after || true
  [ "$(keys)" = before ]
  [ ! -e "$CALLS" ]
}
