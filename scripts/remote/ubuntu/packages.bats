#!/usr/bin/env bats
# Packages are installed also after a power cut, and while another program holds a lock for a time.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root" CALLS="$BATS_TEST_TMPDIR/calls" FAILS="$BATS_TEST_TMPDIR/fails"
  mkdir -p "$ROOT" "$FAILS" "$BATS_TEST_TMPDIR/programs"
  # A call fails with the first line of its file in FAILS, each line once.
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

# What was called, a word for each call.
called() {
  sed -E 's/.*(--audit|--configure|update|-f install|sleep).*/\1/; s/^apt-get .*install .*/install/' "$CALLS" | paste -sd ' '
}

@test "on a healthy machine nothing is mended" {
  run bash "$SCRIPT" zstd
  [ "$status" -eq 0 ]
  [ "$(called)" = "--audit update install" ]
  grep -q 'apt-get -q -y -o DPkg::Lock::Timeout=600 .*install --no-install-recommends zstd' "$CALLS"
}

@test "what was left half installed is configured first, and what it needs is fetched" {
  echo 'dpkg: error processing package curl: dependency problems' >"$FAILS/configure"
  HALF='curl is half configured' run bash "$SCRIPT" zstd
  [ "$status" -eq 0 ]
  [ "$(called)" = "--audit --configure update -f install install" ]
}

@test "a journal of dpkg that was left is enough to mend" {
  mkdir -p "$ROOT/var/lib/dpkg/updates"
  touch "$ROOT/var/lib/dpkg/updates/0001"
  run bash "$SCRIPT" zstd
  [ "$status" -eq 0 ]
  [ "$(called)" = "--audit --configure update -f install install" ]
}

@test "a lock that another program holds is waited for" {
  printf '%s\n' "$LISTS" "$LISTS" >"$FAILS/update"
  run bash "$SCRIPT" zstd
  [ "$status" -eq 0 ]
  [ "$(called)" = "--audit update sleep --audit update sleep --audit update install" ]
}

@test "dpkg's own lock is waited for, and no failure to tolerate" {
  echo "$DPKG" >"$FAILS/configure"
  HALF='curl is half configured' run bash "$SCRIPT" zstd
  [ "$status" -eq 0 ]
  [ "$(called)" = "--audit --configure sleep --audit --configure update -f install install" ]
}

@test "a lock that stays is told after 10 minutes" {
  printf '%s\n' "$LISTS" "$LISTS" >"$FAILS/update"
  SECONDS=600 run bash "$SCRIPT" zstd
  [ "$status" -eq 1 ]
  [[ "$output" == *"held by process 812"* ]]
  [ "$(called)" = "--audit update" ]
}

@test "another error is told at once, also after a wait for a lock that ended" {
  echo "Waiting for cache lock: ${LISTS#E: }"$'\rE: Unable to locate package zsdt' >"$FAILS/install"
  run bash "$SCRIPT" zsdt
  [ "$status" -eq 1 ]
  [[ "$output" == *"Unable to locate package"* ]]
  [ "$(called)" = "--audit update install" ]
}
