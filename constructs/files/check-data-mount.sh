# Succeeds only if the folder $1 is the root of a mounted file system, not a folder on another disk.
# shellcheck shell=sh
root=$(awk -v path="$1" '$5 == path { print $4 }' /proc/self/mountinfo)
if [ "$root" != / ]; then
  echo "the data disk is not mounted: $1 is the folder '$root' of another disk. Its pod does not start, because its program would find no data. Check the volume with: talosctl get volumestatus" >&2
  exit 1
fi
