#!/usr/bin/env bats
# The smaller scripts write complete files, or write them again.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root" CALLS="$BATS_TEST_TMPDIR/calls"
  mkdir -p "$ROOT" "$BATS_TEST_TMPDIR/programs"
  printf '#!/bin/sh\necho "update-initramfs $*" >>"$CALLS"\n' >"$BATS_TEST_TMPDIR/programs/update-initramfs"
  cat >"$BATS_TEST_TMPDIR/programs/python3" <<'END'
#!/bin/sh
mkdir -p "$4/bin"
printf '#!/bin/sh\necho "pip $*" >>"$CALLS"\nexit ${FAILS:-0}\n' >"$4/bin/python"
chmod +x "$4/bin/python"
END
  chmod +x "$BATS_TEST_TMPDIR/programs/"*
  PATH="$BATS_TEST_TMPDIR/programs:$PATH"
}

@test "replaces the record of the GPU test as a whole" {
  bash "$BATS_TEST_DIRNAME/../proxmox/gpu-record.sh" 210 '{"a":1}'
  bash "$BATS_TEST_DIRNAME/../proxmox/gpu-record.sh" 210 '{"a":2}'
  [ "$(cat "$ROOT/var/lib/collab-homelab/gpu-210.json")" = '{"a":2}' ]
  [ "$(ls "$ROOT/var/lib/collab-homelab")" = gpu-210.json ]
}

@test "options of the GPU's memory count after they are in the initramfs" {
  bash "$BATS_TEST_DIRNAME/gtt.sh" write 'options ttm pages_limit=5'
  run bash "$BATS_TEST_DIRNAME/gtt.sh" state
  [[ "$output" == *"options=options ttm pages_limit=5"*"initramfs=options ttm pages_limit=5"*"pages_limit="* ]]
  printf '#!/bin/sh\nexit 1\n' >"$BATS_TEST_TMPDIR/programs/update-initramfs"
  run bash "$BATS_TEST_DIRNAME/gtt.sh" write 'options ttm pages_limit=6'
  [ "$status" -ne 0 ]
  run bash "$BATS_TEST_DIRNAME/gtt.sh" state
  [[ "$output" == *$'initramfs=\n'* ]]
}

@test "a Python environment counts after pip has finished" {
  export FAILS=1
  run bash "$BATS_TEST_DIRNAME/mlx.sh" d1 'mlx[cpu]==0'
  [ "$status" -eq 1 ]
  [ ! -e "$ROOT/opt/mlx/.requirements" ]
  FAILS=0
  run bash "$BATS_TEST_DIRNAME/mlx.sh" d1 'mlx[cpu]==0'
  [ "$status" -eq 0 ]
  [ "$(cat "$ROOT/opt/mlx/.requirements")" = d1 ]
  grep -q 'pip -m pip install .* mlx\[cpu\]==0' "$CALLS"
}

@test "loads an embedding model too" {
  cat >"$BATS_TEST_TMPDIR/programs/curl" <<'END'
#!/bin/bash
echo "$*" >>"$CALLS"
case "$*" in
  *embed:1*/api/generate) echo 400 ;;
  *away:1*/api/generate) echo 404 ;;
  *broken:1*/api/generate) echo 500 ;;
  *broken:1*/api/embed) exit 22 ;;
  */api/generate) echo 200 ;;
esac
END
  chmod +x "$BATS_TEST_TMPDIR/programs/curl"
  run bash "$BATS_TEST_DIRNAME/load-models.sh" 11434 chat:1 16384 embed:1 2048
  [ "$status" -eq 0 ]
  [ "$(grep -c /api/embed "$CALLS")" -eq 1 ]
  grep -q '"model":"chat:1","keep_alive":-1,"options":{"num_ctx":16384}' "$CALLS"
  # A missing model is skipped. A failing one does not stop the others.
  run bash "$BATS_TEST_DIRNAME/load-models.sh" 11434 away:1 16384 chat:2 2048
  [ "$status" -eq 0 ]
  [[ "$output" == *"away:1 is not there yet"* ]]
  grep -q '"model":"chat:2"' "$CALLS"
  run bash "$BATS_TEST_DIRNAME/load-models.sh" 11434 broken:1 16384 chat:3 2048
  [ "$status" -eq 1 ]
  grep -q '"model":"chat:3"' "$CALLS"
}
