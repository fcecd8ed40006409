"""Counts the tokens of each example with the tokenizer of the base, as training does.

Reads {base, data, files, maxSequence} as JSON from standard input. Prints {total, longest, problems: [{file, line, tokens} or
{file, line, error}]} as JSON.
"""

import json
import sys
from pathlib import Path


def main():
    from mlx_lm.tuner.datasets import create_dataset
    from mlx_lm.utils import load_tokenizer

    given = json.load(sys.stdin)
    tokenizer = load_tokenizer(Path(given["base"]))
    total, longest, problems = 0, 0, []
    for name in given["files"]:
        with open(Path(given["data"]) / name, encoding="utf-8") as file:
            examples = [json.loads(line) for line in file]
        dataset = create_dataset(examples, tokenizer, None)
        for line, example in enumerate(examples, 1):
            try:
                count = len(dataset.process(example)[0])
            except Exception as error:
                # A chat template is a program of the base: it may raise any exception.
                problems.append({"file": name, "line": line, "error": str(error).splitlines()[0][:200] or type(error).__name__})
                continue
            total += count
            longest = max(longest, count)
            if count > given["maxSequence"]:
                problems.append({"file": name, "line": line, "tokens": count})
    print(json.dumps({"total": total, "longest": longest, "problems": problems}))


if __name__ == "__main__":
    main()
