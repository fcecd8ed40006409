#!/bin/sh
# Process 1 of the container `mongod`. "$@" is the command of mongod.
#
# The set finds an empty member by its name within seconds, gives it a vote and copies data to it from any member. If a majority
# of the members is lost, an old copy could become the only one. So on an empty volume mongod first runs with another set name
# and a separate folder: it answers, but is not part of the set. The container `reconcile` asks the other members, and creates the
# file `join` when this member may join.
set -u
DATA=${DATA:-/data/db}
WORK=${WORK:-/tmp}
ALONE="$DATA/.waiting"

# The first file that WiredTiger creates.
hasData() { [ -e "$DATA/WiredTiger" ]; }

# Waits until mongod has exited, also when a signal interrupts the wait.
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
  # The operator accepted this loss only.
  rm -f "$WORK/accept-loss"
}

rm -rf "$ALONE"
hasData || untilJoin "$@"
rm -rf "$ALONE"
rm -f "$WORK/waiting"
exec "$@"
