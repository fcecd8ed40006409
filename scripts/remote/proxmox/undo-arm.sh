#!/usr/bin/env bash
# Keeps copies of all files that decide how this host boots, as they are now, and arms the program that gives them back.
# From then on a boot that nobody confirms is undone. Does nothing to copies of a boot that still waits for its confirmation.
# Arguments: the paths of the files. All *.link files are kept besides, since their names are not known before.
set -euo pipefail

ROOT=${ROOT:-}
STATE="$ROOT/var/lib/collab-homelab"

# pmxcfs knows no owners and modes: a copy is of the content alone.
keep() {
  local path=$1 to=$2
  if [ -f "$ROOT$path" ]; then
    mkdir -p "$to/files$(dirname "$path")"
    cat "$ROOT$path" >"$to/files$path"
  else
    printf '%s\n' "$path" >>"$to/absent"
  fi
}

main() {
  local path
  umask 022
  mkdir -p "$STATE"
  if [ ! -e "$STATE/armed" ]; then
    rm -rf "$STATE/saved.next"
    mkdir -p "$STATE/saved.next/files"
    : >"$STATE/saved.next/absent"
    # Proxmox' tool that pins names of network cards writes these anew as well. The last two belong to the whole cluster: where
    # they are empty or absent, they hold no names of this host, and what comes later is not ours to remove.
    for path in "$@" "/etc/pve/nodes/$(cut -d . -f 1 "$ROOT/etc/hostname")/host.fw"; do keep "$path" "$STATE/saved.next"; done
    for path in /etc/pve/sdn/controllers.cfg /etc/pve/sdn/fabrics.cfg; do
      if [ -s "$ROOT$path" ]; then keep "$path" "$STATE/saved.next"; fi
    done
    for path in "$ROOT"/etc/systemd/network/*.link "$ROOT"/usr/local/lib/systemd/network/*.link; do
      # A link to /dev/null is left alone: nothing of ours makes or changes one.
      if [ -f "$path" ] && [ ! -L "$path" ]; then keep "${path#"$ROOT"}" "$STATE/saved.next"; fi
    done
    # The very first copies stay for ever, for whoever wants the host back as it was.
    if [ ! -e "$STATE/original" ]; then
      rm -rf "$STATE/original.next"
      cp -r "$STATE/saved.next" "$STATE/original.next"
      mv "$STATE/original.next" "$STATE/original"
    fi
    rm -rf "$STATE/saved"
    mv "$STATE/saved.next" "$STATE/saved"
  fi
  systemctl daemon-reload
  systemctl enable collab-homelab-undo.timer
  # The boot in which it was armed: only a later one is undone.
  cat "$ROOT/proc/sys/kernel/random/boot_id" >"$STATE/armed.next"
  sync
  mv "$STATE/armed.next" "$STATE/armed"
}

main "$@" </dev/null
