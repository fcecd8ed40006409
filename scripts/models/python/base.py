"""Downloads a base at one commit of Hugging Face and verifies every file. Prints its folder as JSON.

Reads {repository, revision, offline} as JSON on standard input. Exit code 3: it cannot be had (the reason is the last line
of standard error). A download that was cut off goes on.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

REFUSED = 3
# What mlx_lm itself loads, without programs of the repository.
PATTERNS = ["*.json", "model*.safetensors", "tokenizer.model", "*.tiktoken", "*.txt", "*.jinja"]


def refuse(reason):
    print(reason.replace("\n", " "), file=sys.stderr)
    sys.exit(REFUSED)


def digest_of(path, name):
    """The digest that the hub names a file by: SHA-256 of a large one, Git's of a small one."""
    if len(name) == 64:
        digest = hashlib.sha256()
    else:
        digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode())
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def verify(folder):
    for path in sorted(folder.rglob("*")):
        blob = path.resolve()
        if path.is_file() and len(blob.name) in (40, 64) and digest_of(blob, blob.name) != blob.name:
            os.unlink(blob)
            refuse(f"{path.name} of the base was not what the hub says it is, and was removed; run the command again")


def main():
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    given = json.load(sys.stdin)
    repository, revision = given["repository"], given["revision"]
    try:
        folder = snapshot_download(
            repository, revision=revision, allow_patterns=PATTERNS, local_files_only=given["offline"]
        )
    except LocalEntryNotFoundError as error:
        refuse(
            f"{repository} at {revision} is not on this machine"
            + ("" if given["offline"] else f", and the hub could not be reached: {error.__cause__ or error}")
        )
    except RevisionNotFoundError:
        refuse(f"{repository} has no commit {revision} any more: the base moved; review what is there now, then change base.revision")
    except GatedRepoError:
        refuse(f"{repository} asks for a login and its licence to be agreed to: huggingface.co/{repository}, then hf auth login")
    except RepositoryNotFoundError:
        refuse(f"there is no public {repository} on the hub (or it asks for a login: hf auth login)")
    except (HfHubHTTPError, OSError) as error:
        refuse(f"{repository} could not be downloaded: {error}; run the command again, it goes on from there")
    if Path(folder).name != revision:
        refuse(f"{repository} was asked for at {revision}, and the hub gave {Path(folder).name}: the base moved")
    verify(Path(folder))
    print(json.dumps({"folder": folder}))


if __name__ == "__main__":
    main()
