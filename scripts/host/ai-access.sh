#!/usr/bin/env bash
# Who may log in to an Ubuntu machine, and what may be reached there: the keys of one user and the rules of the firewall.
#   ai-access.sh state USER                      what is there
#   ai-access.sh try SECONDS USER RULES KEYS     puts it in force; undone after SECONDS unless it is confirmed
#   ai-access.sh confirm SHA256                  called from a second session: keeps the rules that have this digest
# Everything is in functions: a script of which only a part arrived does nothing.
set -euo pipefail

readonly TABLE=(inet collab_homelab)
readonly CONFIRMED="${ROOT:-}/etc/collab-homelab/firewall.nft"
readonly TRIAL="${ROOT:-}/var/lib/collab-homelab/access"
readonly UNDO=collab-homelab-access-undo
readonly SERVICE=collab-homelab-firewall.service

digest() {
  if [[ -f "$1" ]]; then sha256sum <"$1" | cut -d ' ' -f 1; fi
}

# The digest of the rules in force: they carry it as the comment of their table.
loaded() {
  nft list table "${TABLE[@]}" 2>/dev/null | sed -n 's/^[[:space:]]*comment "\([0-9a-f]*\)"$/\1/p' || true
}

state() {
  echo "rules=$(digest "$CONFIRMED")"
  echo "loaded=$(loaded)"
  echo "enabled=$(systemctl is-enabled "$SERVICE" 2>/dev/null || true)"
  echo "keys=$(digest "${ROOT:-}/home/$1/.ssh/authorized_keys")"
}

try() {
  local seconds="$1" user="$2" rules="$3" keys="$4"
  local home="${ROOT:-}/home/$user"
  mkdir -p "$TRIAL" "$(dirname "$CONFIRMED")" "$home/.ssh"
  printf '%s' "$rules" >"$TRIAL/rules.next"
  # Wrong rules are refused as a whole, before anything is in force.
  nft -c -f "$TRIAL/rules.next"
  # After a trial that was cut off, the keys before it are the ones to go back to.
  if [[ ! -e "$TRIAL/keys.before" && -e "$home/.ssh/authorized_keys" ]]; then
    cp -p "$home/.ssh/authorized_keys" "$TRIAL/keys.before.next"
    mv "$TRIAL/keys.before.next" "$TRIAL/keys.before"
  fi
  cat >"$TRIAL/undo" <<END
#!/bin/sh
if [ -s '$CONFIRMED' ]; then nft -f '$CONFIRMED'; else nft delete table ${TABLE[*]}; fi
if [ -e '$TRIAL/keys.before' ]; then mv '$TRIAL/keys.before' '$home/.ssh/authorized_keys'; fi
END
  chmod 0755 "$TRIAL/undo"
  # Undone by the machine itself, whatever becomes of the connection.
  systemctl stop "$UNDO.timer" "$UNDO.service" 2>/dev/null || true
  systemctl reset-failed "$UNDO.service" 2>/dev/null || true
  systemd-run --quiet --unit="$UNDO" --on-active="$seconds" "$TRIAL/undo"
  printf '%s' "$keys" >"$home/.ssh/authorized_keys.next"
  chown "$user:$user" "$home/.ssh" "$home/.ssh/authorized_keys.next"
  chmod 0700 "$home/.ssh"
  chmod 0600 "$home/.ssh/authorized_keys.next"
  mv "$home/.ssh/authorized_keys.next" "$home/.ssh/authorized_keys"
  nft -f "$TRIAL/rules.next"
}

confirm() {
  if [[ "$(loaded)" != "$1" || ! -f "$TRIAL/rules.next" ]]; then
    echo "the rules were undone before a second session opened" >&2
    exit 3
  fi
  systemctl stop "$UNDO.timer" 2>/dev/null || true
  rm -f "$TRIAL/keys.before"
  mv "$TRIAL/rules.next" "$CONFIRMED"
  systemctl daemon-reload
  systemctl enable --quiet "$SERVICE"
  systemctl start "$SERVICE"
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
