#!/usr/bin/env bats
# Reads the firmware of the GPU from the ACPI table VFCT.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root"
  FILE=/usr/share/kvm/x.bin
  TABLE="$ROOT/sys/firmware/acpi/tables/VFCT"
  mkdir -p "$(dirname "$TABLE")"
  node - "$TABLE" "$BATS_TEST_TMPDIR/image" <<'END'
const fs = require('fs');
const image = (vendor, device, content) => {
  const head = Buffer.alloc(28);
  head.writeUInt16LE(vendor, 12);
  head.writeUInt16LE(device, 14);
  head.writeUInt32LE(content.length, 24);
  return Buffer.concat([head, content]);
};
const rom = (fill) => Buffer.concat([Buffer.from([0x55, 0xaa]), Buffer.alloc(55 * 1024, fill)]);
const head = Buffer.alloc(76);
head.write('VFCT');
head.writeUInt32LE(76, 52);
fs.writeFileSync(process.argv[2], Buffer.concat([head, image(0x1002, 0x7480, rom(1)), image(0x1002, 0x1900, rom('x\n\0'))]));
fs.writeFileSync(process.argv[3], rom('x\n\0'));
END
}

vbios() {
  bash -s -- "$@" "$FILE" <"$BATS_TEST_DIRNAME/vbios.sh"
}

@test "writes the image of the device byte for byte" {
  local digest
  digest=$(sha256sum <"$BATS_TEST_TMPDIR/image" | cut -d ' ' -f 1)
  [ "$(vbios digest 1002 1900)" = "$digest none" ]
  vbios write 1002 1900
  cmp "$ROOT$FILE" "$BATS_TEST_TMPDIR/image"
  [ "$(vbios digest 1002 1900)" = "$digest $digest" ]
}

@test "finds no image for another device, in another table, in a truncated table or without a table" {
  [ "$(vbios digest 1002 15bf)" = 'none none' ]
  truncate -s 60000 "$TABLE"
  [ "$(vbios digest 1002 1900)" = 'none none' ]
  echo nonsense >"$TABLE"
  [ "$(vbios digest 1002 1900)" = 'none none' ]
  rm "$TABLE"
  [ "$(vbios digest 1002 1900)" = 'none none' ]
  run vbios write 1002 1900
  [ "$status" -ne 0 ]
  [ ! -e "$ROOT$FILE" ]
}
