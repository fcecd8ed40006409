#!/usr/bin/env bats
# Download, check and placement of disk images. curl, gpgv and apt-get are stand-ins; the rest is real.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root" SAID="$BATS_TEST_TMPDIR/said" WEB="$BATS_TEST_TMPDIR/web"
  FOLDER=/var/lib/vz/import
  mkdir -p "$ROOT/tmp" "$ROOT/var/lib" "$WEB" "$BATS_TEST_TMPDIR/bin"
  PATH="$BATS_TEST_TMPDIR/bin:$PATH"
  # Serves $WEB. Resumes a download unless $NO_RANGES is set.
  stand_in curl <<'END'
for last in "$@"; do :; done
out='' resume=no
while [ $# -gt 0 ]; do
  case $1 in
    --output) out=$2; shift ;;
    --continue-at) resume=yes; shift ;;
  esac
  shift
done
file="$WEB/${last##*/}"
[ -f "$file" ] || exit 22
if [ "$resume" = yes ] && [ -s "$out" ]; then
  [ -z "${NO_RANGES:-}" ] || exit 33
  tail -c "+$(($(stat -c %s "$out") + 1))" "$file" >>"$out"
else
  cat "$file" >"$out"
fi
END
}

stand_in() {
  { printf '#!/bin/bash\necho "%s $*" >>"$SAID"\n' "$1" && cat; } >"$BATS_TEST_TMPDIR/bin/$1"
  chmod +x "$BATS_TEST_TMPDIR/bin/$1"
}

script() {
  local name=$1
  shift
  bash -s -- "$@" <"$BATS_TEST_DIRNAME/$name.sh"
}

digest() {
  sha256sum "$1" | cut -d ' ' -f 1
}

@test "an image is absent, then exists with the digest of its download" {
  head -c 100000 /dev/urandom >"$WEB/image.raw"
  xz -k "$WEB/image.raw"
  run script image-state "$FOLDER" image.raw
  [ "${lines[0]}" = absent ]
  [[ "${lines[1]}" =~ ^free\ [0-9]+$ ]]
  run script download-image "$FOLDER" image.raw https://x/image.raw.xz
  [ "$output" = "$(digest "$WEB/image.raw.xz")" ]
  script keep-image "$FOLDER" image.raw "$output" yes
  cmp "$WEB/image.raw" "$ROOT$FOLDER/image.raw"
  run script image-state "$FOLDER" image.raw
  [ "${lines[0]}" = "there $(digest "$WEB/image.raw.xz")" ]
  [ "$(ls "$ROOT$FOLDER" | wc -l)" = 2 ]
}

@test "resumes a download, or starts again if the server cannot resume" {
  head -c 100000 /dev/urandom >"$WEB/image"
  mkdir -p "$ROOT$FOLDER"
  head -c 500 "$WEB/image" >"$ROOT$FOLDER/image.part"
  run script download-image "$FOLDER" image https://x/image
  [ "$output" = "$(digest "$WEB/image")" ]
  head -c 500 "$WEB/image" >"$ROOT$FOLDER/image.part"
  NO_RANGES=1 run script download-image "$FOLDER" image https://x/image
  [ "$output" = "$(digest "$WEB/image")" ]
}

@test "reports a failed download" {
  run script download-image "$FOLDER" image https://x/none
  [ "$status" = 22 ]
}

@test "does not place a file with another digest" {
  mkdir -p "$ROOT$FOLDER"
  echo other >"$ROOT$FOLDER/image.part"
  run script keep-image "$FOLDER" image "$(printf '0%.0s' {1..64})" no
  [ "$status" = 1 ]
  [[ "$output" == *"has SHA-256 $(digest "$ROOT$FOLDER/image.part"), wanted is 0000"* ]]
  [ ! -e "$ROOT$FOLDER/image" ]
}

@test "places an uncompressed file unchanged, also over the leftover of a killed run" {
  mkdir -p "$ROOT$FOLDER"
  echo image >"$ROOT$FOLDER/image.part"
  echo half >"$ROOT$FOLDER/image.next"
  script keep-image "$FOLDER" image "$(digest "$ROOT$FOLDER/image.part")" no
  [ "$(cat "$ROOT$FOLDER/image")" = image ]
}

@test "an incomplete script does nothing" {
  for name in download-image keep-image signed-digest ubuntu-keyring; do
    head -n -1 "$BATS_TEST_DIRNAME/$name.sh" | bash -s -- "$FOLDER" image https://x/image no
  done
  [ ! -e "$ROOT$FOLDER" ]
  [ ! -e "$SAID" ]
}

# The list, and the output of gpgv for it.
signed() {
  printf '%s\n' "$(printf 'a%.0s' {1..64}) *image.img" "$(printf 'b%.0s' {1..64}) *other.img" >"$WEB/SUMS"
  echo signature >"$WEB/SUMS.gpg"
  printf '%s\n' "$@" >"$BATS_TEST_TMPDIR/status"
  stand_in gpgv <<<"cat '$BATS_TEST_TMPDIR/status'; exit 2"
}

@test "reads a digest from a list that the right key has signed" {
  signed '[GNUPG:] ERRSIG OTHER 1 10 00 1 9 -' '[GNUPG:] GOODSIG K x' '[GNUPG:] VALIDSIG S 2026 1 0 4 0 1 10 00 KEY'
  run script signed-digest https://x/SUMS image.img KEY
  [ "$output" = "$(printf 'a%.0s' {1..64})" ]
  [ -z "$(ls "$ROOT/tmp")" ]
  grep -q -- "--keyring $ROOT/usr/share/keyrings/ubuntu-cloudimage-keyring.gpg" "$SAID"
}

@test "rejects every other signature" {
  for status in '[GNUPG:] VALIDSIG S 2026 1 0 4 0 1 10 00 OTHERKEY' '[GNUPG:] BADSIG K x' '[GNUPG:] NODATA 4'; do
    signed "$status"
    run script signed-digest https://x/SUMS image.img KEY
    [ "$status" != 0 ]
    [[ "$output" == *'must be signed by KEY'* ]]
  done
  signed '[GNUPG:] BADSIG K x' '[GNUPG:] VALIDSIG S 2026 1 0 4 0 1 10 00 KEY'
  run script signed-digest https://x/SUMS image.img KEY
  [ "$status" = 1 ]
}

@test "rejects a name that is not in the list" {
  signed '[GNUPG:] VALIDSIG S 2026 1 0 4 0 1 10 00 KEY'
  run script signed-digest https://x/SUMS mage.img KEY
  [ "$status" = 1 ]
  [[ "$output" == *'must have one digest of mage.img'* ]]
}

@test "installs the keyring from Debian, after an update of the lists if it is unknown" {
  stand_in apt-get <<'END'
case "$*" in
  update) touch "$ROOT/updated"; exit 100 ;;
  *) test -e "$ROOT/updated" ;;
esac
END
  script ubuntu-keyring
  [ "$(wc -l <"$SAID")" = 3 ]
}

@test "a volume is empty, written, or unreadable" {
  stand_in pvesm <<<'echo "/dev/pve/${2#*:}"'
  mkdir -p "$ROOT/dev/pve"
  truncate -s 4M "$ROOT/dev/pve/empty" "$ROOT/dev/pve/written"
  printf 'x' | dd of="$ROOT/dev/pve/written" bs=1 seek=1000 conv=notrunc status=none
  [ "$(script volume-is-empty s:empty)" = empty ]
  [ "$(script volume-is-empty s:written)" = written ]
  [ "$(script volume-is-empty s:none)" = unknown ]
}
