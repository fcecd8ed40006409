#!/bin/sh
# Tries one TCP connection from a container, with the programs that it finds there. Prints the result in one word:
# open, refused, silent (no answer at all), unresolved, or none (no program here can try).
# Arguments: host, port, seconds to wait.
set -eu

host=$1 port=$2 seconds=$3

has() {
  command -v "$1" >/dev/null 2>&1
}

if has bash && has timeout; then
  # shellcheck disable=SC2016 # The inner shell expands them.
  said=$(timeout "$seconds" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$host" "$port" 2>&1) && said=open
elif has python3; then
  said=$(python3 -c 'import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3]))' \
    "$host" "$port" "$seconds" 2>&1) && said=open
elif has nc; then
  said=$(nc -z -v -w "$seconds" "$host" "$port" 2>&1) && said=open
else
  said=none
fi

case $said in
open | none) echo "$said" ;;
*[Rr]efused*) echo refused ;;
*[Uu]sage* | *unrecognized* | *invalid\ option*) echo none ;;
*resol* | *bad\ address* | *not\ known* | *No\ such\ host*) echo unresolved ;;
*) echo silent ;;
esac
