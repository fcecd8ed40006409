#!/usr/bin/env bash
# Copies all files that control how this host boots, and arms the program that restores them. From then on, a boot that nobody
# confirms is undone. Keeps the existing copies while a boot waits for its confirmation.
# Arguments: the paths of the files. Also copies all *.link files, because their names are not known before.
set -euo pipefail

ROOT=${ROOT:-}
STATE="$ROOT/var/lib/collab-homelab"

# pmxcfs has no owners and modes, so this copies only the content.
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
    # The tool of Proxmox that pins names of network cards rewrites these too. The last two belong to the whole cluster. If they
    # are empty or absent, they contain no names of this host, and the undo must not remove what is added later.
    for path in "$@" "/etc/pve/nodes/$(cut -d . -f 1 "$ROOT/etc/hostname")/host.fw"; do keep "$path" "$STATE/saved.next"; done
    for path in /etc/pve/sdn/controllers.cfg /etc/pve/sdn/fabrics.cfg; do
      if [ -s "$ROOT$path" ]; then keep "$path" "$STATE/saved.next"; fi
    done
    for path in "$ROOT"/etc/systemd/network/*.link "$ROOT"/usr/local/lib/systemd/network/*.link; do
      # Skips a link to /dev/null, because we never create or change one.
      if [ -f "$path" ] && [ ! -L "$path" ]; then keep "${path#"$ROOT"}" "$STATE/saved.next"; fi
    done
    # Keeps the first copies permanently, so that the owner can restore the original host.
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
  # Records the current boot. Only a later one is undone.
  cat "$ROOT/proc/sys/kernel/random/boot_id" >"$STATE/armed.next"
  sync
  mv "$STATE/armed.next" "$STATE/armed"
}

main "$@" </dev/null
