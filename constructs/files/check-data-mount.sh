# Succeeds only when the folder $1 is the root of a mounted file system, and not a folder of another disk.
root=$(awk -v path="$1" '$5 == path { print $4 }' /proc/self/mountinfo)
if [ "$root" != / ]; then
  echo "the data disk is not mounted: $1 is the folder '$root' of another disk. Not starting, because the database would start empty. Check the volume with: talosctl get volumestatus" >&2
  exit 1
fi
