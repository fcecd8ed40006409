# Sourced by backup.sh and restore-fetch.sh: calls restic on the repository, and distinguishes an empty target from one that does
# not answer.
# shellcheck shell=sh

say() { echo "$(date +%Y-%m-%dT%H:%M:%SZ) $*"; }

# attempt COMMAND...: runs a command in the background, because a shell handles SIGTERM only after a foreground program has ended.
attempt() {
  "$@" >"$WORK/out" 2>"$WORK/err" &
  child=$!
  wait "$child"
  code=$?
  child=''
}

# repository SECONDS COMMAND...: writes the output to $WORK/out; on failure sets $problem to the reason.
repository() {
  limit=$1
  shift
  if [ -n "${BACKUP_SSH_CONFIG:-}" ]; then set -- -o "sftp.command=ssh -F $BACKUP_SSH_CONFIG target -s sftp" "$@"; fi
  # Waits for another pod of the database that has locked the repository. restic itself waits only from 0.16 on.
  lockedUntil=$(($(date +%s) + ${BACKUP_LOCKED_SECONDS:-600}))
  while :; do
    attempt timeout -k 30 "$limit" restic --no-cache "$@"
    [ "$code" -ne 0 ] || break
    grep -q 'repository is already locked' "$WORK/err" || break
    [ "$(date +%s)" -lt "$lockedUntil" ] || break
    sleep "${BACKUP_LOCKED_RETRY_SECONDS:-5}" &
    child=$!
    wait "$child"
    child=''
  done
  problem=''
  [ "$code" -ne 0 ] || return 0
  if [ -n "${BACKUP_SSH_CONFIG:-}" ] && grep -q 'unable to start the sftp session' "$WORK/err"; then
    # restic usually exits before it has read the messages of ssh.
    timeout -k 30 60 sftp -F "$BACKUP_SSH_CONFIG" -b /dev/null target >/dev/null 2>>"$WORK/err"
  fi
  problem=$(grep -v -e '^$' -e '^rclone:' "$WORK/err" | tail -n 4 | tr '\n' ' ' | cut -c 1-600)
  case $code in
    124 | 137 | 143) problem="restic did not end within $limit s: $problem" ;;
  esac
  # The message of ssh comes before that of restic.
  case $(tr '\n' ' ' <"$WORK/err") in
    *'REMOTE HOST IDENTIFICATION HAS CHANGED'* | *'Host key verification failed'*)
      problem="the host key of the target is not in backup.target.hostKeys, so nothing is sent to it: $problem" ;;
    *'wrong password or no key found'*)
      problem="the password in the secret $BACKUP_DATABASE-backup does not open the repository: $problem" ;;
    *'SSH_FX_FAILURE'* | *'no space left'* | *'No space left'*)
      problem="the target refuses writes; check whether its disk is full. Stored backups stay unchanged: $problem" ;;
    *'Permission denied (publickey'*)
      problem="the target rejects the key of the secret $BACKUP_DATABASE-backup; add its public half to authorized_keys: $problem" ;;
  esac
  return "$code"
}

# Whether the repository exists. The keeper creates it if the target answers and has none.
# Only one pod creates it: two at once would leave two keys, and the wrong one reads nothing.
found() {
  repository 300 cat config && return 0
  absent "$?" || return 1
  [ "$BACKUP_KEEPER" = "$BACKUP_POD" ] || {
    problem="there is no repository at $RESTIC_REPOSITORY yet; $BACKUP_KEEPER creates it"
    return 1
  }
  if [ -n "${BACKUP_PARENT:-}" ]; then there "$BACKUP_PARENT" || return 1; fi
  repository 300 init || return 1
  say "created an empty repository at $RESTIC_REPOSITORY"
}

# restic has an exit code for it from 0.17 on; for older ones, reads the target's error about the file `config`.
absent() {
  [ "$1" -ne 10 ] || return 0
  grep -q 'Is there a repository at the following location' "$WORK/err" &&
    grep -qi -e 'does not exist' -e 'no such file' -e 'key does not exist' -e 'NoSuchKey' "$WORK/err"
}

# An unmounted disk appears as a missing folder: restic would create the folder on the disk below.
there() {
  if [ -n "${BACKUP_SSH_CONFIG:-}" ]; then
    echo "cd \"$1\"" | timeout -k 30 60 sftp -F "$BACKUP_SSH_CONFIG" -b - target >/dev/null 2>"$WORK/err" && return 0
  elif [ -d "$1" ]; then
    return 0
  fi
  problem="the target has no folder $1: mount its disk, or create the folder; a repository is only created in an existing folder"
  return 1
}
