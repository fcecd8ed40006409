#!/usr/bin/env bats
# The scripts that verify runs inside containers, run on this machine.

setup() {
  scripts=$BATS_TEST_DIRNAME
  bin=$BATS_TEST_TMPDIR/bin
  mkdir "$bin"
}

# A PATH with a few programs only, like in a container.
only() {
  local program
  for program in "$@"; do ln -s "$(command -v "$program")" "$bin/$program"; done
}

# python3 may be a wrapper script that needs other programs.
only_python() {
  printf '#!/bin/sh\nexec "%s" "$@"\n' "$(python3 -c 'import sys; print(sys.executable)')" >"$bin/python3"
  chmod +x "$bin/python3"
}

listen() {
  python3 - "$BATS_TEST_TMPDIR/port" <<'PYTHON' 3>&- &
import http.server, sys, threading
server = http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
threading.Timer(20, server.shutdown).start()
open(sys.argv[1], "w").write(str(server.server_port))
server.serve_forever()
PYTHON
  server=$!
  while [ ! -s "$BATS_TEST_TMPDIR/port" ]; do sleep 0.1; done
  port=$(cat "$BATS_TEST_TMPDIR/port")
}

teardown() {
  [ -z "${server:-}" ] || kill "$server"
}

probe() {
  PATH=$bin /bin/sh "$scripts/probe-connection.sh" "$@"
}

@test "an open port, a refused port and an unknown name, with bash" {
  only bash timeout
  listen
  [ "$(probe 127.0.0.1 "$port" 2)" = open ]
  [ "$(probe 127.0.0.1 1 2)" = refused ]
  [ "$(probe name.invalid 80 2)" = unresolved ]
}

@test "the same with python" {
  only_python
  listen
  [ "$(probe 127.0.0.1 "$port" 2)" = open ]
  [ "$(probe 127.0.0.1 1 2)" = refused ]
  [ "$(probe name.invalid 80 2)" = unresolved ]
}

@test "no answer is reported as silent" {
  only bash
  printf '#!/bin/sh\nexit 124\n' >"$bin/timeout"
  chmod +x "$bin/timeout"
  [ "$(probe 127.0.0.1 1 1)" = silent ]
}

@test "an nc without the needed options does not count as a network result" {
  printf '#!/bin/sh\necho "nc: unrecognized option: z" >&2\nexit 1\n' >"$bin/nc"
  chmod +x "$bin/nc"
  [ "$(probe 127.0.0.1 1 1)" = none ]
}

@test "reports a container without any program" {
  [ "$(probe 127.0.0.1 1 1)" = none ]
  run env PATH="$bin" /bin/sh "$scripts/probe-http.sh" http://127.0.0.1:1/ 1
  [ "$status" -eq 3 ]
}

@test "prints an HTTP answer, and fails without one" {
  listen
  only_python
  cd "$BATS_TEST_TMPDIR"
  PATH=$bin /bin/sh "$scripts/probe-http.sh" "http://127.0.0.1:$port/" 3 | grep -q port
  run env PATH="$bin" /bin/sh "$scripts/probe-http.sh" http://127.0.0.1:1/ 1
  [ "$status" -eq 1 ]
}
