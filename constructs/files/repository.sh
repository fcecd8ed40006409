# Read by backup.sh and restore-fetch.sh: calls restic on the repository, and tells an empty target from one that does not answer.

say() { echo "$(date +%Y-%m-%dT%H:%M:%SZ) $*"; }

# attempt COMMAND...: runs a command in the background, because a shell hears SIGTERM only once the program before it has ended.
attempt() {
  "$@" >"$WORK/out" 2>"$WORK/err" &
  child=$!
  wait "$child"
  code=$?
  child=''
}

# repository SECONDS COMMAND...: what it prints is in $WORK/out; where it fails, $problem says why.
repository() {
  limit=$1
  shift
  if [ -n "${BACKUP_SSH_CONFIG:-}" ]; then set -- -o "sftp.command=ssh -F $BACKUP_SSH_CONFIG target -s sftp" "$@"; fi
  # Another pod of the database that stores or removes something is no failure: it is waited for. restic itself waits only from 0.16 on.
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
    # restic mostly ends before it has read what ssh says.
    timeout -k 30 60 sftp -F "$BACKUP_SSH_CONFIG" -b /dev/null target >/dev/null 2>>"$WORK/err"
  fi
  problem=$(grep -v -e '^$' -e '^rclone:' "$WORK/err" | tail -n 4 | tr '\n' ' ' | cut -c 1-600)
  case $code in
    124 | 137 | 143) problem="restic did not end within $limit s: $problem" ;;
  esac
  # What ssh says stands before what restic makes of it.
  case $(tr '\n' ' ' <"$WORK/err") in
    *'REMOTE HOST IDENTIFICATION HAS CHANGED'* | *'Host key verification failed'*)
      problem="the target shows another host key than backup.target.hostKeys has, so nothing is sent to it: $problem" ;;
    *'wrong password or no key found'*)
      problem="the repository was made with another password than the secret $BACKUP_DATABASE-backup has: $problem" ;;
    *'SSH_FX_FAILURE'* | *'no space left'* | *'No space left'*)
      problem="the target does not take what is written; is its disk full? What is stored stays as it is: $problem" ;;
    *'Permission denied (publickey'*)
      problem="the target does not let the key of the secret $BACKUP_DATABASE-backup in: put its public half into authorized_keys: $problem" ;;
  esac
  return "$code"
}

# Whether the repository is there; the keeper makes it where the target answers and has none. A target that does not answer is none
# of both. One pod alone: two that make it at once leave a key of each, and by the wrong one nothing can be read.
found() {
  repository 300 cat config && return 0
  absent "$?" || return 1
  [ "$BACKUP_KEEPER" = "$BACKUP_POD" ] || {
    problem="there is no repository at $RESTIC_REPOSITORY yet: $BACKUP_KEEPER makes it"
    return 1
  }
  if [ -n "${BACKUP_PARENT:-}" ]; then there "$BACKUP_PARENT" || return 1; fi
  repository 300 init || return 1
  say "made a new, empty repository at $RESTIC_REPOSITORY"
}

# By restic 0.17 and later a code of its own; before that, what the target says of the file `config`.
absent() {
  [ "$1" -ne 10 ] || return 0
  grep -q 'Is there a repository at the following location' "$WORK/err" &&
    grep -qi -e 'does not exist' -e 'no such file' -e 'key does not exist' -e 'NoSuchKey' "$WORK/err"
}

# A disk that is not mounted shows as a missing folder: restic would make it, on the disk below.
there() {
  if [ -n "${BACKUP_SSH_CONFIG:-}" ]; then
    echo "cd \"$1\"" | timeout -k 30 60 sftp -F "$BACKUP_SSH_CONFIG" -b - target >/dev/null 2>"$WORK/err" && return 0
  elif [ -d "$1" ]; then
    return 0
  fi
  problem="the folder $1 is not at the target (is its disk mounted?); make it: a repository is only made in a folder that is there"
  return 1
}
