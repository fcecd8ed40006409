#!/bin/sh
# The init container of a restore: fetches the newest matching backups to /restore/HOST, below their original paths, and lists them
# in /restore/fetched.json. Does not fetch existing files again, so a killed restore continues.
#   RESTORE_AT     the newest backup at or before this time, such as 2026-11-28T02:30:00Z
#   RESTORE_FROM   name of another repository at the same target
#   RESTORE_HOSTS  pods whose backups to use; by default every pod of the repository, or with group `tags` the newest of any pod
set -u
WORK=${WORK:-/tmp}
STAGE=${STAGE:-/restore}
export TMPDIR="$WORK" TZ=UTC
child=''
trap '[ -z "$child" ] || kill -TERM "$child"; exit 143' TERM INT
# shellcheck source=constructs/files/repository.sh disable=SC1091
. "${FILES:-/backup}/repository.sh"

# 3: a retry would fail in the same way.
fail() {
  say "restore: $*"
  exit 3
}

set -- snapshots --json --tag "$BACKUP_DATABASE"
if [ -n "${RESTORE_FROM:-}" ]; then
  RESTIC_REPOSITORY="${RESTIC_REPOSITORY%/*}/$RESTORE_FROM"
  export RESTIC_REPOSITORY
  # One database is enough; its name may differ from that of the repository.
  set -- snapshots --json
fi

# Waits for a target that does not answer; fails if it answers and has no backup.
until=$(($(date +%s) + ${RESTORE_WAIT_SECONDS:-600}))
until repository 300 "$@"; do
  kept=$problem
  repository 300 cat config || { absent "$?" && fail "there is no backup at $RESTIC_REPOSITORY: none was stored there, or it was removed"; }
  case $kept in *'wrong password'* | *'host key of the target'* | *'rejects the key of the secret'*) fail "$kept" ;; esac
  [ "$(date +%s)" -lt "$until" ] || {
    say "restore: the target does not answer: $kept"
    exit 1
  }
  say "waiting for the target: $kept"
  sleep "${RESTORE_RETRY_SECONDS:-10}"
done

jq -c --arg at "${RESTORE_AT:-}" --arg hosts "${RESTORE_HOSTS:-}" --arg group "$BACKUP_GROUP" --arg stage "$STAGE" '
  map(select($at == "" or .time[0:19] <= $at[0:19])) |
  map(select($hosts == "" or (.hostname as $host | $hosts | split(" ") | index($host)))) |
  (if $group == "tags" then [max_by(.time)] else group_by(.hostname) | map(max_by(.time)) end) |
  map(select(. != null) | .hostname as $host |
    {id: .id, time: (.time[0:19] + "Z"), host: $host, path: ($stage + "/" + $host + .paths[0])})
' "$WORK/out" >"$WORK/chosen" || fail 'restic printed no list of snapshots'
[ "$(jq length "$WORK/chosen")" -gt 0 ] ||
  fail "no backup fits${RESTORE_AT:+ (at or before $RESTORE_AT)}: $RESTIC_REPOSITORY has $(jq length "$WORK/out") for $BACKUP_DATABASE, $(jq -r 'map(.time[0:19] + "Z " + .hostname) | sort | .[0:20] | join(", ")' "$WORK/out")"
jq -r '.[] | "\(.id) \(.host) \(.path) \(.time)"' "$WORK/chosen" >"$WORK/list"

# Removes the files of an earlier restore to free their space.
for old in "$STAGE"/* "$STAGE"/.fetched-*; do
  [ -e "$old" ] || continue
  name=${old##*/}
  id=${name#.fetched-}
  grep -q -e "^$id " -e " $name " "$WORK/list" || rm -rf "$old"
done

while read -r id host path time; do
  mark="$STAGE/.fetched-$id"
  if [ -f "$mark" ] && [ -s "$path/manifest.json" ]; then
    say "restore: the backup of $host of $time is fetched already"
    continue
  fi
  for other in "$STAGE"/.fetched-*; do
    [ ! -f "$other" ] || [ "$(cat "$other")" != "$host" ] || rm -f "$other"
  done
  repository 3600 stats --json --mode restore-size "$id" || fail "$problem"
  size=$(jq -r .total_size "$WORK/out")
  here=$(du -sk "$STAGE/$host" 2>/dev/null | cut -f 1)
  free=$(($(df -Pk "$STAGE" | tail -n 1 | awk '{print $4}') + ${here:-0}))
  [ $((size / 1024 + size / 10240)) -lt "$free" ] ||
    fail "the backup of $host of $time needs $((size / 1048576)) MiB and a tenth more, but the disk of this pod has $((free / 1024)) MiB free; remove files that nobody needs, or enlarge the disk"
  say "restore: fetching the backup of $host of $time, $((size / 1048576)) MiB"
  repository "${BACKUP_LIMIT_SECONDS:-43200}" restore "$id" --target "$STAGE/$host" --verify || fail "the backup of $host of $time cannot be restored completely: $problem"
  [ -s "$path/manifest.json" ] || fail "the backup of $host of $time has no $path/manifest.json: it was not made by this homelab, or is incomplete"
  echo "$host" >"$mark"
done <"$WORK/list"
jq -c '{snapshots: .}' "$WORK/chosen" >"$STAGE/fetched.json.tmp" && mv "$STAGE/fetched.json.tmp" "$STAGE/fetched.json"
say "restore: fetched $(jq length "$WORK/chosen") backups"
