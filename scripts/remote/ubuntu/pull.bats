#!/usr/bin/env bats
# A pull succeeds only when Ollama prints success. Its progress can be read meanwhile.

setup() {
  export ROOT="$BATS_TEST_TMPDIR/root" SAYS="$BATS_TEST_TMPDIR/says"
  mkdir -p "$BATS_TEST_TMPDIR/programs"
  # Ollama answers with CODE. Like curl, keeps the body of an error only with --fail-with-body.
  cat >"$BATS_TEST_TMPDIR/programs/curl" <<'END'
#!/bin/bash
[[ "$*" == *--fail-with-body* || "${CODE-200}" == 200 ]] || exit 22
while (($# > 1)); do [[ "$1" == -o ]] && out="$2"; shift; done
cat "$SAYS" >"$out"
[[ "${CODE-200}" == 200 ]] || exit 22
END
  printf '#!/bin/sh\nexit 0\n' >"$BATS_TEST_TMPDIR/programs/sleep"
  chmod +x "$BATS_TEST_TMPDIR/programs/"*
  PATH="$BATS_TEST_TMPDIR/programs:$PATH"
  SCRIPT="$BATS_TEST_DIRNAME/pull.sh"
}

@test "progress is the sum over layers" {
  printf '%s\n' '{"status":"pulling manifest"}' \
    '{"status":"pulling a","digest":"sha256:a","total":9000000000}' \
    '{"status":"pulling a","digest":"sha256:a","total":9000000000,"completed":3000000000}' \
    '{"status":"pulling b","digest":"sha256:b","total":1000,"completed":1000}' \
    '{"status":"success"}' >"$SAYS"
  run bash "$SCRIPT" 11434 m:1
  [ "$status" -eq 0 ]
  run bash "$SCRIPT" progress
  [ "$output" = "9000001000 3000001000" ]
}

@test "reports an error of Ollama" {
  printf '%s\n' '{"status":"pulling manifest"}' '{"error":"pull model manifest: file does not exist"}' >"$SAYS"
  run bash "$SCRIPT" 11434 m:1
  [ "$status" -eq 1 ]
  [[ "$output" == *"file does not exist"* ]]
}

@test "reports an error that Ollama answers at once" {
  printf '{"error":"invalid model name"}' >"$SAYS"
  CODE=400 run bash "$SCRIPT" 11434 m:1
  [ "$status" -eq 1 ]
  [[ "$output" == *"ended with 22, and Ollama said last: {\"error\":\"invalid model name\"}"* ]]
}

@test "without a pull there is no progress" {
  run bash "$SCRIPT" progress
  [ "$output" = "0 0" ]
}
