"""Downloads a base at one commit of Hugging Face and verifies every file. Prints its folder as JSON.

Reads {repository, revision, offline} as JSON from standard input. Exits with 3 when the base is not available; the last line
of standard error is the reason. Resumes a download that was cut off.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

REFUSED = 3
# Files that mlx_lm loads. Leaves out programs of the repository.
PATTERNS = ["*.json", "model*.safetensors", "tokenizer.model", "*.tiktoken", "*.txt", "*.jinja"]


def refuse(reason):
    print(reason.replace("\n", " "), file=sys.stderr)
    sys.exit(REFUSED)


def digest_of(path, name):
    """The digest that the hub uses as file name: SHA-256 for a large file, the Git blob id for a small one."""
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
            refuse(f"{path.name} of the base did not match the digest of the hub and was removed; run the command again")


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
            + ("" if given["offline"] else f" and the hub cannot be reached: {error.__cause__ or error}")
        )
    except RevisionNotFoundError:
        refuse(f"{repository} has no commit {revision} any more; review its current state, then change base.revision")
    except GatedRepoError:
        refuse(f"{repository} needs a login; accept its licence at huggingface.co/{repository}, then run hf auth login")
    except RepositoryNotFoundError:
        refuse(f"the hub has no public {repository}; correct base.repository, or log in with hf auth login")
    except (HfHubHTTPError, OSError) as error:
        refuse(f"cannot download {repository}: {error}; run the command again to resume")
    if Path(folder).name != revision:
        refuse(f"{repository} must be at {revision}, got {Path(folder).name}; review the base before you change base.revision")
    verify(Path(folder))
    print(json.dumps({"folder": folder}))


if __name__ == "__main__":
    main()
