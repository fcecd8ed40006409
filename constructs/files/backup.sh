#!/bin/sh
# Process 1 of the container `backup` beside a database: requests a consistent copy of the database when a backup is due, and
# stores it in the encrypted repository of restic. Needs busybox, restic (0.14 to 0.18) and jq.
#
# The time of the newest snapshot in the repository decides whether a backup is due, so the pod needs no state of its own.
#   /handover/request      {"id"}, written here: the database side prepares a copy, and removes it when the request is gone
#   /handover/answer       {"id","state":"ready","paths"} or {"id","state":"skip"|"failed","why"}
#   /handover/status.json  {"newest","tried","error","seconds","bytes"} after each try
set -u
HANDOVER=${HANDOVER:-/handover}
WORK=${WORK:-/tmp}
ROUND=${BACKUP_ROUND_SECONDS:-600}
RETRY=${BACKUP_RETRY_SECONDS:-60}
ANSWER=${BACKUP_ANSWER_SECONDS:-3600}
DAY=${BACKUP_DAY_SECONDS:-86400}
CHECK=${BACKUP_CHECK_SECONDS:-604800}
export TMPDIR="$WORK" TZ=UTC
# shellcheck source=constructs/files/repository.sh disable=SC1091
. "${FILES:-/backup}/repository.sh"

newest='' wanted='' tried='' problem='' seconds=0 bytes=0 child=''

stop() {
  rm -f "$HANDOVER/request"
  [ -z "$child" ] || kill -TERM "$child" 2>/dev/null
  wait
  exit 0
}
trap stop TERM INT

# Waits at most this long: `npm run homelab -- backup` creates the file that requests a backup immediately.
rest() {
  until=$(($(now) + $1))
  while [ ! -f "$WORK/now" ] && [ "$(now)" -lt "$until" ]; do pause 2; done
}

pause() {
  sleep "$1" &
  child=$!
  wait "$child"
  child=''
}

tell() {
  jq -cn --arg newest "$newest" --arg tried "$tried" --arg error "$problem" --argjson seconds "$seconds" \
    --argjson bytes "$bytes" '{newest: ($newest | if . == "" then null else . end),
      tried: ($tried | if . == "" then null else . end),
      error: ($error | if . == "" then null else . end), $seconds, $bytes}' >"$HANDOVER/status.json.tmp" &&
    mv "$HANDOVER/status.json.tmp" "$HANDOVER/status.json"
}

now() { date +%s; }
isoNow() { date +%Y-%m-%dT%H:%M:%SZ; }

# Seconds until a backup is due; 0 or less means now. Ignores a snapshot with a time in the future, so that one wrong clock does
# not stop all backups.
dueIn() {
  if [ -z "$newest" ] || [ -n "$wanted" ]; then
    echo 0
    return
  fi
  jq -rn --arg newest "$newest" --argjson every "$BACKUP_EVERY_SECONDS" \
    '($newest[0:19] + "Z" | fromdateiso8601) as $at | now as $now |
     if $at > $now + 3600 then 0 else ($at + $every - $now | ceil) end'
}

look() {
  set -- snapshots --json --tag "$BACKUP_DATABASE"
  [ "$BACKUP_GROUP" = tags ] || set -- "$@" --host "$BACKUP_POD"
  repository 600 "$@" || return 1
  newest=$(jq -r 'map(.time) | max // "" | if . == "" then . else .[0:19] + "Z" end' "$WORK/out") || {
    problem='restic printed no list of snapshots'
    return 1
  }
}

ask() {
  id=$(date +%Y%m%dT%H%M%SZ)
  rm -f "$HANDOVER/answer"
  jq -cn --arg id "$id" '{$id}' >"$HANDOVER/request.tmp" && mv "$HANDOVER/request.tmp" "$HANDOVER/request"
  until=$(($(now) + ANSWER))
  while [ "$(now)" -lt "$until" ]; do
    if [ -f "$HANDOVER/answer" ] && [ "$(jq -r .id "$HANDOVER/answer" 2>/dev/null)" = "$id" ]; then
      state=$(jq -r .state "$HANDOVER/answer")
      why=$(jq -r '.why // ""' "$HANDOVER/answer")
      return 0
    fi
    pause 2
  done
  state=failed
  why="the container beside the database made no copy within $ANSWER s; read its log"
}

store() {
  jq -r '.paths[]' "$HANDOVER/answer" >"$WORK/paths"
  while read -r path; do
    [ -s "$path/manifest.json" ] || {
      problem="the copy at $path has no manifest.json"
      return 1
    }
  done <"$WORK/paths"
  repository "${BACKUP_LIMIT_SECONDS:-43200}" backup --quiet --json --host "$BACKUP_POD" --tag "$BACKUP_DATABASE" \
    --files-from-verbatim "$WORK/paths"
  code=$?
  bytes=$(tail -n 1 "$WORK/out" | jq -r '.total_bytes_processed // 0' 2>/dev/null)
  bytes=${bytes:-0}
  [ "$code" -ne 0 ] || return 0
  # 3: some files could not be read. The snapshot is incomplete and must not count as a backup.
  if [ "$code" -eq 3 ]; then
    kept=$problem
    part=$(tail -n 1 "$WORK/out" | jq -r '.snapshot_id // ""')
    [ -z "$part" ] || repository 600 forget "$part"
    problem="some files of the copy could not be read: $kept"
  fi
  return 1
}

backup() {
  tried=$(isoNow)
  began=$(now)
  ask
  case $state in
    ready) store ;;
    skip)
      tried='' wanted=''
      say "no backup from this pod: $why"
      rm -f "$HANDOVER/request"
      return 0
      ;;
    *) problem="no copy of the database: $why" && false ;;
  esac
  code=$?
  rm -f "$HANDOVER/request"
  seconds=$(($(now) - began))
  [ "$code" -eq 0 ] || return 1
  wanted=''
  say "stored $bytes bytes in $seconds s"
  look
}

# Whether the last run is older than the given seconds, or never happened. Recorded only in the pod: a restart runs it again.
overdue() { [ ! -f "$WORK/$1" ] || [ $(($(now) - $(cat "$WORK/$1"))) -ge "$2" ]; }

# Only one pod does this: `forget` and `check` lock the repository for all others.
keep() {
  [ "$BACKUP_KEEPER" = "$BACKUP_POD" ] && [ -n "$newest" ] || return 0
  if overdue forgotten "$DAY"; then
    # shellcheck disable=SC2086 # several options
    repository 14400 forget --quiet --tag "$BACKUP_DATABASE" --group-by "$BACKUP_GROUP" $BACKUP_KEEP --prune || return 1
    now >"$WORK/forgotten"
  fi
  if overdue checked "$CHECK"; then
    part=$(($(now) / CHECK % 13 + 1))/13
    repository 28800 check --read-data-subset "$part" || return 1
    now >"$WORK/checked"
    say "checked the repository, and read part $part of its data"
  fi
}

round() {
  problem=''
  [ ! -f "$WORK/now" ] || wanted=yes
  rm -f "$WORK/now"
  found || return 1
  repository 300 unlock || return 1
  look || return 1
  if [ "$(dueIn)" -le 0 ]; then backup || return 1; fi
  keep
}

rm -f "$HANDOVER/request"
# Until the repository answers, keeps the status of the previous container.
newest=$(jq -r '.newest // ""' "$HANDOVER/status.json" 2>/dev/null)
delay=$RETRY
while :; do
  if round; then
    delay=$RETRY
    tell
    next=$(dueIn)
    [ "$next" -ge 1 ] && [ "$next" -le "$ROUND" ] || next=$ROUND
    rest "$next"
  else
    say "failed, trying again in $delay s: $problem"
    tried=$(isoNow)
    tell
    rest "$delay"
    delay=$((delay * 2))
    [ "$delay" -le 1800 ] || delay=1800
  fi
done
