#!/usr/bin/env bash
# Prints the state of a Proxmox host as one JSON object of texts: the output of programs, and the content of files.
# Reads only. Stops if a required program fails, so that its result does not look absent.
# Arguments: the storage for disks, then the paths of files for which it prints digests.
set -euo pipefail

ROOT=${ROOT:-}
STATE="$ROOT/var/lib/collab-homelab"
separator='{'

# A text as JSON. Escapes or leaves out characters that JSON forbids in a string.
put() {
  local name=$1 text=$2
  text=${text//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\t'/\\t}
  text=${text//$'\n'/\\n}
  printf '%s"%s":"' "$separator" "$name"
  printf '%s' "$text" | tr -d '\000-\037'
  printf '"'
  separator=','
}

# Output of a program, which must succeed.
must() {
  local name=$1 text
  shift
  text=$("$@")
  put "$name" "$text"
}

# Output of an optional program, or content of an optional file.
may() {
  local name=$1 text
  shift
  text=$("$@" 2>/dev/null) || text=''
  put "$name" "$text"
}

# Several files, each after a line with its path.
files() {
  local file
  for file in "$@"; do
    # Lists a link to /dev/null too, because it masks the file of the same name in a later folder.
    [ -f "$file" ] || [ -c "$file" ] || continue
    printf '## %s\n' "${file#"$ROOT"}"
    cat "$file"
    printf '\n'
  done
}

digests() {
  local path
  for path in "$@"; do
    [ -f "$ROOT$path" ] || continue
    printf '%s  %s\n' "$(sha256sum <"$ROOT$path" | cut -d ' ' -f 1)" "$path"
  done
}

# The kernel that proxmox-boot-tool pinned. A pin for the next boot takes precedence.
pinned_kernel() {
  local pin="$ROOT/etc/kernel/next-boot-pin"
  if [ ! -e "$pin" ]; then pin="$ROOT/etc/kernel/proxmox-boot-pin"; fi
  cat "$pin"
}

storage_is_there() {
  grep -q "\"storage\" *: *\"$1\"" <<<"$2"
}

main() {
  local storage=$1 node config
  shift
  if ! command -v pveversion >/dev/null; then
    put pveversion ''
    printf '}\n'
    return
  fi
  must pveversion pveversion
  # The name under which Proxmox knows this host.
  node=$(cut -d . -f 1 "$ROOT/etc/hostname")
  put node "$node"
  may kernels ls -1 "$ROOT/boot"
  may pinnedKernel pinned_kernel
  must cmdline cat "$ROOT/proc/cmdline"
  must bootId cat "$ROOT/proc/sys/kernel/random/boot_id"
  must status pvesh get "/nodes/$node/status" --output-format json
  may model cat "$ROOT/sys/class/dmi/id/sys_vendor" "$ROOT/sys/class/dmi/id/product_name"
  may carveOut cat "$ROOT"/sys/class/drm/card*/device/mem_info_vram_total
  may arcMaximum cat "$ROOT/sys/module/zfs/parameters/zfs_arc_max"
  must pci lspci -Dvmmnnk
  may vfio modinfo -F filename vfio_pci
  must links ip -details -json link show
  must linkFiles files "$ROOT"/etc/systemd/network/*.link "$ROOT"/usr/local/lib/systemd/network/*.link
  must interfaces cat "$ROOT/etc/network/interfaces"
  may interfacesNew cat "$ROOT/etc/network/interfaces.new"
  may interfacesMore cat "$ROOT"/etc/network/interfaces.d/*
  may pinningTool command -v pve-network-interface-pinning
  may pinning ls "$STATE/pinning"
  must storages pvesh get "/nodes/$node/storage" --output-format json
  config=$(pvesh get /storage --output-format json)
  put storageConfig "$config"
  if storage_is_there "$storage" "$config"; then must volumes pvesm list "$storage"; else put volumes ''; fi
  must pools lvs --reportformat json --units b --nosuffix -o vg_name,lv_name,lv_size,data_percent,metadata_percent
  must guests pvesh get /cluster/resources --type vm --output-format json
  must digests digests "$@"
  may kernelOptions cat "$ROOT/etc/kernel/cmdline"
  if [ -s "$ROOT/etc/kernel/proxmox-boot-uuids" ]; then must bootTool proxmox-boot-tool status; else put bootTool ''; fi
  may grub ls "$ROOT/etc/default/grub"
  may updateGrub command -v update-grub
  may booted cat "$STATE/boot-files"
  may armed cat "$STATE/armed"
  may undone cat "$STATE/undone"
  may undoTimer systemctl is-enabled collab-homelab-undo.timer
  may rebootRequired ls "$ROOT/run/reboot-required"
  printf '}\n'
}

# The script comes from standard input, which a program could consume.
main "$@" </dev/null
