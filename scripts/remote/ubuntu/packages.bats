#!/usr/bin/env bats
# Installs packages also after a power cut, and while another program holds a lock for some time.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root" CALLS="$BATS_TEST_TMPDIR/calls" FAILS="$BATS_TEST_TMPDIR/fails"
  mkdir -p "$ROOT" "$FAILS" "$BATS_TEST_TMPDIR/programs"
  # A call fails with the next line of its file in FAILS. Each line is used once.
  cat >"$BATS_TEST_TMPDIR/programs/apt-get" <<'END'
#!/bin/bash
name="$(basename "$0")"
echo "$name $*" >>"$CALLS"
case "$*" in
  *--audit*) printf %s "${HALF-}"; exit ;;
  *--configure*) file="$FAILS/configure" ;;
  *update*) file="$FAILS/update" ;;
  *) file="$FAILS/install" ;;
esac
[ -s "$file" ] || exit 0
head -n 1 "$file" >&2
sed -i 1d "$file"
exit 100
END
  cp "$BATS_TEST_TMPDIR/programs/apt-get" "$BATS_TEST_TMPDIR/programs/dpkg"
  printf '#!/bin/sh\necho "sleep $*" >>"$CALLS"\n' >"$BATS_TEST_TMPDIR/programs/sleep"
  chmod +x "$BATS_TEST_TMPDIR/programs/"*
  PATH="$BATS_TEST_TMPDIR/programs:$PATH"
  SCRIPT="$BATS_TEST_DIRNAME/packages.sh"
  LISTS='E: Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (apt-get)'
  DPKG='dpkg: error: dpkg frontend lock was locked by another process with pid 812'
}

# The calls, one word each.
called() {
  sed -E 's/.*(--audit|--configure|update|-f install|sleep).*/\1/; s/^apt-get .*install .*/install/' "$CALLS" | paste -sd ' '
}

@test "repairs nothing on a healthy machine" {
  run bash "$SCRIPT" zstd
  [ "$status" -eq 0 ]
  [ "$(called)" = "--audit update install" ]
  grep -q 'apt-get -q -y -o DPkg::Lock::Timeout=600 .*install --no-install-recommends zstd' "$CALLS"
}

@test "first configures partly installed packages, and downloads their dependencies" {
  echo 'dpkg: error processing package curl: dependency problems' >"$FAILS/configure"
  HALF='curl is half configured' run bash "$SCRIPT" zstd
  [ "$status" -eq 0 ]
  [ "$(called)" = "--audit --configure update -f install install" ]
}

@test "repairs if dpkg left a journal" {
  mkdir -p "$ROOT/var/lib/dpkg/updates"
  touch "$ROOT/var/lib/dpkg/updates/0001"
  run bash "$SCRIPT" zstd
  [ "$status" -eq 0 ]
  [ "$(called)" = "--audit --configure update -f install install" ]
}

@test "waits for a lock of another program" {
  printf '%s\n' "$LISTS" "$LISTS" >"$FAILS/update"
  run bash "$SCRIPT" zstd
  [ "$status" -eq 0 ]
  [ "$(called)" = "--audit update sleep --audit update sleep --audit update install" ]
}

@test "waits for the lock of dpkg, and does not ignore it" {
  echo "$DPKG" >"$FAILS/configure"
  HALF='curl is half configured' run bash "$SCRIPT" zstd
  [ "$status" -eq 0 ]
  [ "$(called)" = "--audit --configure sleep --audit --configure update -f install install" ]
}

@test "reports a lock that stays for 10 minutes" {
  printf '%s\n' "$LISTS" "$LISTS" >"$FAILS/update"
  SECONDS=600 run bash "$SCRIPT" zstd
  [ "$status" -eq 1 ]
  [[ "$output" == *"held by process 812"* ]]
  [ "$(called)" = "--audit update" ]
}

@test "reports another error at once, also after a wait for a lock" {
  echo "Waiting for cache lock: ${LISTS#E: }"$'\rE: Unable to locate package zsdt' >"$FAILS/install"
  run bash "$SCRIPT" zsdt
  [ "$status" -eq 1 ]
  [[ "$output" == *"Unable to locate package"* ]]
  [ "$(called)" = "--audit update install" ]
}
