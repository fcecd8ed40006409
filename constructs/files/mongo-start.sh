#!/bin/sh
# Process 1 of the container `mongod`. "$@" is the command of mongod.
#
# The set finds an empty member by its name within seconds, gives it a vote and the data of any member that has some. Where a
# majority of the copies is gone, that makes an old copy the only one. So on an empty volume mongod first runs with another set
# name and a folder of its own: it answers, and takes part in nothing. The container `reconcile` asks the other members, and
# leaves the file `join` once this one may join.
set -u
DATA=${DATA:-/data/db}
WORK=${WORK:-/tmp}
ALONE="$DATA/.waiting"

# WiredTiger writes this file first.
hasData() { [ -e "$DATA/WiredTiger" ]; }

# Waits until mongod has ended, also where a signal interrupts the wait.
ended() {
  while kill -0 "$mongod" 2>/dev/null; do wait "$mongod"; done
}

stop() {
  kill -TERM "$mongod" 2>/dev/null
  ended
  exit 0
}

untilJoin() {
  rm -f "$WORK/join"
  mkdir "$ALONE" || exit 1
  left=$#
  while [ "$left" -gt 0 ]; do
    case $1 in
      --replSet=*) set -- "$@" "$1-waiting" ;;
      --dbpath=*) set -- "$@" "--dbpath=$ALONE" ;;
      *) set -- "$@" "$1" ;;
    esac
    shift
    left=$((left - 1))
  done
  "$@" &
  mongod=$!
  trap stop TERM INT
  : >"$WORK/waiting"
  while [ ! -e "$WORK/join" ]; do
    sleep 1 &
    wait $!
    kill -0 "$mongod" 2>/dev/null && continue
    wait "$mongod"
    exit
  done
  kill -TERM "$mongod"
  ended
  trap - TERM INT
  # Whoever agreed to a loss agreed to this one.
  rm -f "$WORK/accept-loss"
}

rm -rf "$ALONE"
hasData || untilJoin "$@"
rm -rf "$ALONE"
rm -f "$WORK/waiting"
exec "$@"
