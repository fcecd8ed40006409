#!/usr/bin/env bats
# Installs a version of Ollama that has the digest of its release, and switches to it in one step.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root" OFFER="$BATS_TEST_TMPDIR/offer"
  mkdir -p "$ROOT" "$OFFER/bin" "$BATS_TEST_TMPDIR/programs"
  printf '#!/bin/sh\n' >"$OFFER/bin/ollama"
  chmod +x "$OFFER/bin/ollama"
  tar -c -C "$OFFER" bin | zstd -q >"$OFFER/ollama-linux-amd64.tar.zst"
  DIGEST="$(sha256sum <"$OFFER/ollama-linux-amd64.tar.zst" | cut -d ' ' -f 1)"
  printf '%s  ./ollama-linux-amd64.tar.zst\n%064d  ./ollama-linux-arm64.tar.zst\n' "$DIGEST" 0 >"$OFFER/sha256sum.txt"
  # curl copies files of the stand-in release to the path of -o.
  cat >"$BATS_TEST_TMPDIR/programs/curl" <<'END'
#!/bin/bash
out=/dev/stdout
while (($# > 1)); do [[ "$1" == -o ]] && out="$2"; shift; done
cat "$OFFER/${1##*/}" >"$out"
END
  printf '#!/bin/sh\necho inactive\n' >"$BATS_TEST_TMPDIR/programs/systemctl"
  chmod +x "$BATS_TEST_TMPDIR/programs/"*
  PATH="$BATS_TEST_TMPDIR/programs:$PATH"
  SCRIPT="$BATS_TEST_DIRNAME/ollama.sh"
  ADDRESS=https://example.test/ollama-linux-amd64.tar.zst
  SUMS=https://example.test/sha256sum.txt
}

fetch() {
  run bash "$SCRIPT" fetch "$1" "$ADDRESS" "$SUMS" "${2-}"
}

@test "installs a release with the right digest, and switches the link atomically" {
  fetch v1.0.0
  [ "$status" -eq 0 ]
  [ "$output" = "$DIGEST" ]
  bash "$SCRIPT" install v1.0.0 "$DIGEST"
  [ "$(readlink "$ROOT/opt/ollama/current")" = v1.0.0 ]
  [ -x "$ROOT/usr/local/bin/ollama" ]
  fetch v1.1.0 "$DIGEST"
  bash "$SCRIPT" install v1.1.0 "$DIGEST"
  [ "$(readlink "$ROOT/opt/ollama/current")" = v1.1.0 ]
  [ -x "$ROOT/opt/ollama/v1.0.0/bin/ollama" ]
  run bash "$SCRIPT" state
  [[ "$output" == *"version=v1.1.0"* ]]
  [[ "$output" == *"digest=$DIGEST"* ]]
}

@test "rejects and removes a download whose digest differs from the release or from the first download" {
  sed -i "s/^$DIGEST/$(printf '%064d' 1)/" "$OFFER/sha256sum.txt"
  fetch v1.0.0
  [ "$status" -eq 1 ]
  [[ "$output" == *"the release says"* ]]
  [ ! -e "$ROOT/var/cache/collab-homelab/ollama-v1.0.0.tar.zst" ]
  sed -i "s/^0*1 /$DIGEST /" "$OFFER/sha256sum.txt"
  fetch v1.0.0 "$(printf '%064d' 2)"
  [ "$status" -eq 1 ]
  [[ "$output" == *"the first download had"* ]]
}

@test "rejects a list without this file" {
  sed -i '/amd64/d' "$OFFER/sha256sum.txt"
  fetch v1.0.0
  [ "$status" -eq 1 ]
  [[ "$output" == *"names no digest"* ]]
}

@test "unpacks again after a kill during unpacking" {
  fetch v1.0.0
  mkdir -p "$ROOT/opt/ollama/.v1.0.0.next/bin" "$ROOT/opt/ollama/v1.0.0"
  bash "$SCRIPT" install v1.0.0 "$DIGEST"
  [ -x "$ROOT/opt/ollama/current/bin/ollama" ]
  [ ! -e "$ROOT/opt/ollama/.v1.0.0.next" ]
}

@test "prints the GPUs of this machine, then the devices in the log of the running Ollama" {
  local device
  for device in '0000:00:01.0 0x1234 0x030000' '0000:01:00.0 0x1002 0x038000' '0000:02:00.0 0x1002 0x040300'; do
    read -r address vendor class <<<"$device"
    mkdir -p "$ROOT/sys/bus/pci/devices/$address"
    echo "$vendor" >"$ROOT/sys/bus/pci/devices/$address/vendor"
    echo "$class" >"$ROOT/sys/bus/pci/devices/$address/class"
  done
  printf '#!/bin/sh\necho 0123456789abcdef0123456789abcdef\n' >"$BATS_TEST_TMPDIR/programs/systemctl"
  printf '#!/bin/sh\necho "msg=\\"server config\\""; echo "msg=\\"inference compute\\" library=Vulkan"\n' >"$BATS_TEST_TMPDIR/programs/journalctl"
  chmod +x "$BATS_TEST_TMPDIR/programs/"*
  run bash "$BATS_TEST_DIRNAME/ollama-log.sh"
  [ "$status" -eq 0 ]
  [ "$output" = $'gpu=0000:01:00.0\nmsg="inference compute" library=Vulkan' ]
  rm -r "$ROOT/sys"
  run bash "$BATS_TEST_DIRNAME/ollama-log.sh"
  [ "$output" = 'msg="inference compute" library=Vulkan' ]
}
