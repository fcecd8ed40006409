#!/bin/sh
# Replaces a file with standard input, atomically: write-file.sh PATH MODE SHA256
# A broken connection ends the input early. The digest keeps an incomplete file from replacing the old one.
umask 077
mkdir -p "$(dirname "$1")" && cat >"$1.next" || exit
if [ "$(sha256sum <"$1.next" | cut -d' ' -f1)" != "$3" ]; then
  echo "$1: not all of it arrived" >&2
  rm -f "$1.next"
  exit 1
fi
chmod "$2" "$1.next" && mv "$1.next" "$1"
