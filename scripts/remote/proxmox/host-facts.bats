#!/usr/bin/env bats
# Prints facts as JSON for any output of programs.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root"
  mkdir -p "$ROOT"/{bin,boot,etc/network,etc/systemd/network,etc/default,proc/sys/kernel/random,var/lib/collab-homelab}
  PATH="$ROOT/bin:$PATH"
  echo pve.home >"$ROOT/etc/hostname"
  echo 'root=/dev/pve ro' >"$ROOT/proc/cmdline"
  echo 11111111-2222-3333-4444-555555555555 >"$ROOT/proc/sys/kernel/random/boot_id"
  printf 'auto lo\n\tbridge-ports "nic0" \\\n' >"$ROOT/etc/network/interfaces"
  program pveversion 'echo "pve-manager/9.2.11/abc (running kernel: 6.17.4-1-pve)"'
  program lspci 'printf "Slot:\t0000:c5:00.0\nClass:\tVGA [0300]\n"'
  program ip 'echo "[]"'
  program pvesh 'case "$2" in /storage) echo "[{\"storage\":\"local-lvm\"}]" ;; *) echo "[\"$2\"]" ;; esac'
  program pvesm 'echo "$*"'
  program lvs 'echo "{}"'
  program modinfo 'exit 1'
  program systemctl 'exit 1'
}

program() {
  printf '#!/bin/bash\n%s\n' "$2" >"$ROOT/bin/$1"
  chmod +x "$ROOT/bin/$1"
}

facts() {
  bash -s -- local-lvm /etc/kernel/cmdline "/etc/default/a b" <"$BATS_TEST_DIRNAME/host-facts.sh"
}

field() {
  facts | node -e 'const all=JSON.parse(require("fs").readFileSync(0,"utf8")); process.stdout.write(String(all[process.argv[1]]))' "$1"
}

@test "texts keep quotes, tabs, backslashes and lines" {
  [ "$(field interfaces)" = "$(cat "$ROOT/etc/network/interfaces")" ]
  [ "$(field pci)" = "$(lspci)" ]
}

@test "a missing file is empty, and a path with a space is one path" {
  echo x >"$ROOT/etc/default/a b"
  [ "$(field vfio)" = '' ]
  [ "$(field bootTool)" = '' ]
  [ "$(field digests)" = "$(printf 'x\n' | sha256sum | cut -d ' ' -f 1)  /etc/default/a b" ]
  [ "$(field storages)" = '["/nodes/pve/storage"]' ]
  [ "$(field volumes)" = 'list local-lvm' ]
}

@test "a kernel for the next boot takes precedence over the pinned one" {
  mkdir -p "$ROOT/etc/kernel"
  [ "$(field pinnedKernel)" = '' ]
  echo 6.14.8-2-pve >"$ROOT/etc/kernel/proxmox-boot-pin"
  [ "$(field pinnedKernel)" = 6.14.8-2-pve ]
  echo 6.17.4-1-pve >"$ROOT/etc/kernel/next-boot-pin"
  [ "$(field pinnedKernel)" = 6.17.4-1-pve ]
}

@test "a masked link file is listed as empty" {
  ln -s /dev/null "$ROOT/etc/systemd/network/50-a.link"
  echo 'Name=b' >"$ROOT/etc/systemd/network/60-b.link"
  [ "$(field linkFiles)" = "$(printf '## /etc/systemd/network/50-a.link\n\n## /etc/systemd/network/60-b.link\nName=b')" ]
}

@test "stops if a required program fails" {
  program lspci 'exit 3'
  run facts
  [ "$status" -eq 3 ]
}

@test "reports only that a machine is not Proxmox" {
  rm "$ROOT/bin/pveversion"
  [ "$(facts)" = '{"pveversion":""}' ]
}
