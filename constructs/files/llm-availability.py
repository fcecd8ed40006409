"""Asks each model for one word, and prints the seconds to the first token. Fails if a model does not answer.

Standard library only.
"""
import json
import os
import sys
import time
import urllib.error
import urllib.request

URL = os.environ["URL"]
TIMEOUT = float(os.environ["TIMEOUT"])


def post(path, body):
    key = os.environ.get("API_KEY")
    headers = {"Content-Type": "application/json"}
    if key:
        headers["Authorization"] = "Bearer " + key
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers)
    return urllib.request.urlopen(request, timeout=TIMEOUT)


def first_word(model):
    """Seconds until the first part of the answer arrives."""
    begin = time.monotonic()
    body = {"model": model, "max_tokens": 1, "stream": True, "messages": [{"role": "user", "content": "Say yes."}]}
    try:
        with post("/v1/chat/completions", body) as answer:
            for line in answer:
                if line.startswith(b"data: {"):
                    return time.monotonic() - begin
        raise ValueError("the answer has no word")
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        if "does not support chat" not in text:
            raise ValueError("status %d: %s" % (error.code, text.strip()[:200])) from error
    begin = time.monotonic()
    with post("/v1/embeddings", {"model": model, "input": "yes"}) as answer:
        if not json.load(answer)["data"][0]["embedding"]:
            raise ValueError("the answer has no numbers")
    return time.monotonic() - begin


failed = False
for model in os.environ["MODELS"].split():
    try:
        print("model=%s answers=yes first_word_seconds=%.3f" % (model, first_word(model)), flush=True)
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        failed = True
        print("model=%s answers=no why=%s" % (model, json.dumps(str(error))), flush=True)
sys.exit(1 if failed else 0)
