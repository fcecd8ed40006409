#!/usr/bin/env bash
# Reads the GPU's firmware from the ACPI table VFCT of the BIOS. Works with any driver of the GPU.
# Usage: vbios.sh digest VENDOR DEVICE FILE  prints the digest of the image in the table and of the file, or `none` for each
#        vbios.sh write VENDOR DEVICE FILE   writes the image to the file
# VENDOR and DEVICE are the four hexadecimal digits of the PCI ids.
set -euo pipefail

ROOT=${ROOT:-}
TABLE="$ROOT/sys/firmware/acpi/tables/VFCT"

# An unsigned number of the table. Arguments: offset, size in bytes.
number() {
  od -An -v -t "u$2" -j "$1" -N "$2" "$COPY" | tr -d ' '
}

# Prints offset and length of the image for a device. The table: an ACPI header (36 bytes), a UUID (16), the offset of the first
# image (4), 20 more bytes. An image: bus, device, function (4 each), vendor, device (2 each), two more ids, revision (4), its
# length (4), then the firmware.
find_image() {
  local vendor=$((16#$1)) device=$((16#$2)) size at length
  [ "$(head -c 4 "$COPY")" = VFCT ] || return 0
  size=$(stat -c %s "$COPY")
  at=$(number 52 4)
  while [ $((at + 28)) -le "$size" ]; do
    length=$(number $((at + 24)) 4)
    [ "$length" -gt 0 ] && [ $((at + 28 + length)) -le "$size" ] || return 0
    # An option ROM begins with 55 AA.
    if [ "$(number $((at + 12)) 2)" = "$vendor" ] && [ "$(number $((at + 14)) 2)" = "$device" ] &&
      [ "$(number $((at + 28)) 2)" = $((0xaa55)) ]; then
      printf '%s %s\n' $((at + 28)) "$length"
      return 0
    fi
    at=$((at + 28 + length))
  done
}

image() {
  local found
  found=$(find_image "$1" "$2")
  [ -n "$found" ] || return 1
  dd if="$COPY" bs=64k iflag=skip_bytes,count_bytes skip="${found% *}" count="${found#* }" status=none
}

main() {
  local what=$1 vendor=$2 device=$3 file=$4 of_table=none of_file=none
  COPY=$(mktemp)
  trap 'rm -f "$COPY"' EXIT
  # Reads it once, because some kernels cannot read parts of the table.
  if [ -r "$TABLE" ]; then cat "$TABLE" >"$COPY"; fi
  if [ "$what" = write ]; then
    mkdir -p "$(dirname "$ROOT$file")"
    image "$vendor" "$device" >"$ROOT$file.next"
    mv "$ROOT$file.next" "$ROOT$file"
    return
  fi
  if [ -n "$(find_image "$vendor" "$device")" ]; then of_table=$(image "$vendor" "$device" | sha256sum | cut -d ' ' -f 1); fi
  if [ -f "$ROOT$file" ]; then of_file=$(sha256sum <"$ROOT$file" | cut -d ' ' -f 1); fi
  printf '%s %s\n' "$of_table" "$of_file"
}

main "$@" </dev/null
