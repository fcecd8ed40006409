#!/usr/bin/env bash
# Manages Ollama on an Ubuntu machine. Each version has a folder, and a link selects the one that runs.
#   ollama.sh state                                   prints the state
#   ollama.sh fetch VERSION ARCHIVE-URL SUMS-URL SHA256   downloads and checks; SHA256 may be empty. Prints the digest
#   ollama.sh install VERSION SHA256                  unpacks the download and switches to it
#   ollama.sh user                                    creates the user of Ollama
#   ollama.sh start                                   (re)starts it with the current unit
# All code is in functions, so that a script that arrives incomplete does nothing.
set -euo pipefail

readonly FOLDER="${ROOT:-}/opt/ollama"
readonly CACHE="${ROOT:-}/var/cache/collab-homelab"
# Like Ollama's installer.
readonly HOME_OF_USER=/usr/share/ollama

state() {
  local version
  version="$(readlink "$FOLDER/current" || true)"
  echo "groups=$(id -nG ollama 2>/dev/null || true)"
  echo "version=$version"
  echo "digest=$(cat "$FOLDER/$version/.sha256" 2>/dev/null || true)"
  echo "active=$(systemctl is-active ollama.service 2>/dev/null || true)"
  echo "enabled=$(systemctl is-enabled ollama.service 2>/dev/null || true)"
  echo "reload=$(systemctl show -p NeedDaemonReload --value ollama.service 2>/dev/null || true)"
  # The unit writes this file when it starts.
  echo "started=$(cat "${ROOT:-}/run/ollama/started-with" 2>/dev/null || true)"
}

fetch() {
  local version="$1" archive="$2" sums="$3" expected="$4"
  local file="$CACHE/ollama-$version.tar.zst" published digest
  mkdir -p "$CACHE"
  # Removes downloads of other versions.
  find "$CACHE" -maxdepth 1 -name 'ollama-*' ! -name "ollama-$version.tar.zst*" -delete
  if [[ ! -f "$file" ]]; then
    # Resumes a killed download. Stops a stalled one: less than 10 kB/s for a minute.
    curl -fsSL --retry 3 --connect-timeout 20 --speed-limit 10000 --speed-time 60 -C - -o "$file.part" "$archive"
    mv "$file.part" "$file"
  fi
  published="$(curl -fsSL --retry 3 --connect-timeout 20 --max-time 60 "$sums" |
    sed -n "s|^\([0-9a-f]\{64\}\) [ *]\(\./\)\?${archive##*/}\$|\1|p")"
  digest="$(sha256sum <"$file" | cut -d ' ' -f 1)"
  if [[ -z "$published" ]]; then
    echo "$sums names no digest of ${archive##*/}" >&2
    exit 1
  fi
  if [[ "$digest" != "$published" ]]; then
    rm -f "$file"
    echo "${archive##*/} has the digest $digest, and the release says $published; the download was removed" >&2
    exit 1
  fi
  if [[ -n "$expected" && "$digest" != "$expected" ]]; then
    rm -f "$file"
    echo "${archive##*/} has the digest $digest, and the first download had $expected; the download was removed" >&2
    exit 1
  fi
  echo "$digest"
}

install_version() {
  local version="$1" digest="$2"
  local file="$CACHE/ollama-$version.tar.zst" next="$FOLDER/.$version.next"
  if [[ "$(cat "$FOLDER/$version/.sha256" 2>/dev/null || true)" != "$digest" ]]; then
    echo "$digest  $file" | sha256sum --check --quiet --strict
    rm -rf "$next" "${FOLDER:?}/$version"
    mkdir -p "$next"
    zstd -dc "$file" | tar -x -C "$next" --no-same-owner
    test -x "$next/bin/ollama"
    echo "$digest" >"$next/.sha256"
    sync -f "$next"
    mv -T "$next" "$FOLDER/$version"
  fi
  # Atomic: the link has the old or the new version.
  ln -sfn "$version" "$FOLDER/.current.next"
  mv -T "$FOLDER/.current.next" "$FOLDER/current"
  mkdir -p "${ROOT:-}/usr/local/bin"
  ln -sfn ../../../opt/ollama/current/bin/ollama "${ROOT:-}/usr/local/bin/ollama"
  # Keeps the previous version, so that a downgrade needs no download.
  rm -f "$file"
}

make_user() {
  if ! id ollama >/dev/null 2>&1; then
    useradd --system --user-group --create-home --home-dir "$HOME_OF_USER" --shell /usr/sbin/nologin ollama
  fi
  # Devices of the GPU belong to these groups.
  usermod --append --groups render,video ollama
}

start() {
  systemctl daemon-reload
  systemctl enable --quiet ollama.service
  systemctl restart ollama.service
}

main() {
  local verb="$1"
  shift
  case "$verb" in
    state) state ;;
    fetch) fetch "$@" ;;
    install) install_version "$@" ;;
    user) make_user ;;
    start) start ;;
    *)
      echo "state, fetch, install, user or start, not $verb" >&2
      exit 2
      ;;
  esac
}

main "$@"
