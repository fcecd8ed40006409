#!/usr/bin/env bash
# Sets who may log in to an Ubuntu machine and what they may reach: the SSH keys of one user, and the firewall rules.
#   access.sh state USER                      prints the state
#   access.sh try SECONDS USER RULES KEYS     activates both; undone after SECONDS or at the next boot, unless confirmed
#   access.sh confirm DIGEST USER SHA256      called from a second session: keeps rules with this digest, and keys with that
# A trial is open while $TRIAL/rules.next exists. Moving this file decides the trial: confirm makes it the rules of the next boot,
# and the undo sets it aside until it is done.
# All code is in functions, so that a script that arrives incomplete does nothing.
set -euo pipefail

readonly TABLE=(inet collab_homelab)
readonly CONFIRMED="${ROOT:-}/etc/collab-homelab/firewall.nft"
readonly TRIAL="${ROOT:-}/var/lib/collab-homelab/access"
readonly UNDO=collab-homelab-access-undo
readonly UNDO_AT_BOOT=collab-homelab-access-undo-at-boot.service
readonly SERVICE=collab-homelab-firewall.service

digest() {
  if [[ -f "$1" ]]; then sha256sum <"$1" | cut -d ' ' -f 1; fi
}

# The digest of the active rules, from the comment of their table.
loaded() {
  nft list table "${TABLE[@]}" 2>/dev/null | sed -n 's/^[[:space:]]*comment "\([0-9a-f]*\)"$/\1/p' || true
}

state() {
  echo "rules=$(digest "$CONFIRMED")"
  echo "loaded=$(loaded)"
  echo "enabled=$(systemctl is-enabled "$SERVICE" 2>/dev/null || true)"
  echo "keys=$(digest "${ROOT:-}/home/$1/.ssh/authorized_keys")"
  echo "trial=$(if is_open; then echo open; fi)"
}

is_open() {
  [[ -e "$TRIAL/rules.next" || -e "$TRIAL/rules.undone" ]]
}

try() {
  local seconds="$1" user="$2" rules="$3" keys="$4"
  local home="${ROOT:-}/home/$user"
  mkdir -p "$TRIAL" "$(dirname "$CONFIRMED")" "$home/.ssh"
  printf '%s' "$rules" >"$TRIAL/rules.checked"
  # nft rejects wrong rules completely, before any rule is active.
  nft -c -f "$TRIAL/rules.checked"
  # Undoes an interrupted trial while its timer still runs.
  if is_open; then sh "$TRIAL/undo" || true; fi
  systemctl stop "$UNDO.timer" "$UNDO.service" 2>/dev/null || true
  systemctl reset-failed "$UNDO.service" 2>/dev/null || true
  rm -f "$TRIAL/keys.before"
  if [[ -e "$home/.ssh/authorized_keys" ]]; then
    cp -p "$home/.ssh/authorized_keys" "$TRIAL/keys.before.next"
    mv "$TRIAL/keys.before.next" "$TRIAL/keys.before"
  fi
  arm "$seconds" "$home"
  mv "$TRIAL/rules.checked" "$TRIAL/rules.next"
  printf '%s' "$keys" >"$home/.ssh/authorized_keys.next"
  chown "$user:$user" "$home/.ssh" "$home/.ssh/authorized_keys.next"
  chmod 0700 "$home/.ssh"
  chmod 0600 "$home/.ssh/authorized_keys.next"
  mv "$home/.ssh/authorized_keys.next" "$home/.ssh/authorized_keys"
  nft -f "$TRIAL/rules.next"
}

# The machine undoes the trial itself, even if the connection is lost: after a timer, which a reboot drops, and at the next boot.
arm() {
  local seconds="$1" home="$2" unit="${ROOT:-}/etc/systemd/system/$UNDO_AT_BOOT"
  cat >"$TRIAL/undo" <<END
#!/bin/sh
mv '$TRIAL/rules.next' '$TRIAL/rules.undone' 2>/dev/null
[ -e '$TRIAL/rules.undone' ] || exit 0
if [ -s '$CONFIRMED' ]; then nft -f '$CONFIRMED'; else nft delete table ${TABLE[*]} 2>/dev/null; fi
if [ -e '$TRIAL/keys.before' ]; then mv '$TRIAL/keys.before' '$home/.ssh/authorized_keys'; fi
rm -f '$TRIAL/rules.undone'
END
  chmod 0755 "$TRIAL/undo"
  mkdir -p "$(dirname "$unit")"
  cat >"$unit" <<END
# Managed by the bootstrap of the homelab.
[Unit]
Description=Takes back keys and firewall of the homelab that were not confirmed before the boot
After=$SERVICE
Before=ssh.service
ConditionPathExists=|$TRIAL/rules.next
ConditionPathExists=|$TRIAL/rules.undone

[Service]
Type=oneshot
ExecStart=/bin/sh $TRIAL/undo

[Install]
WantedBy=multi-user.target
END
  systemctl enable --quiet "$UNDO_AT_BOOT"
  # The next boot may follow a power cut.
  sync "$unit" "$TRIAL"/*
  systemd-run --quiet --unit="$UNDO" --on-active="$seconds" --timer-property=AccuracySec=1s "$TRIAL/undo"
}

confirm() {
  if ! { in_force "$@" && mv -T "$TRIAL/rules.next" "$CONFIRMED" 2>/dev/null; } && ! was_confirmed "$@"; then
    echo "the rules were undone before a second session opened" >&2
    exit 3
  fi
  systemctl stop "$UNDO.timer" 2>/dev/null || true
  rm -f "$TRIAL/keys.before"
  systemctl daemon-reload
  systemctl enable --quiet "$SERVICE"
  systemctl start "$SERVICE"
}

in_force() {
  [[ "$(loaded)" == "$1" && "$(digest "${ROOT:-}/home/$2/.ssh/authorized_keys")" == "$3" ]]
}

# Confirmed by an earlier call whose answer was lost.
was_confirmed() {
  ! is_open && grep -qsF "comment \"$1\"" "$CONFIRMED" && in_force "$@"
}

main() {
  local verb="$1"
  shift
  case "$verb" in
    state) state "$@" ;;
    try) try "$@" ;;
    confirm) confirm "$@" ;;
    *)
      echo "state, try or confirm, not $verb" >&2
      exit 2
      ;;
  esac
}

main "$@"
