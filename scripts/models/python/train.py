"""Fine-tunes a base with LoRA or as a whole. It can be stopped or killed at any time.

Reads its settings as JSON from standard input. Writes config.yaml, progress.jsonl, checkpoints/ and, at the end, adapters/ and
training.json into `folder`. Exit codes: 0 finished; 3 the user must fix a problem (the last line of standard error is the
reason); 75 another training runs; 130 stopped. It keeps its checkpoints in every case.
"""

import fcntl
import hashlib
import json
import math
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path

REFUSED, BUSY, STOPPED = 3, 75, 130
# Validation batches: the default of mlx_lm.lora.
VALIDATION_BATCHES = 25
# Least time between two lines of progress.
PROGRESS_SECONDS = 1.0


def refuse(reason):
    print(reason, file=sys.stderr)
    sys.exit(REFUSED)


def write_whole(path, data):
    """Replaces a file atomically, also if the power fails."""
    following = path.with_name(path.name + ".next")
    with open(following, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(following, path)
    sync(path.parent)


def sync(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put_folder(folder, fill):
    """Fills a folder under another name, and renames it when everything is on the disk."""
    following = folder.with_name(folder.name + ".next")
    shutil.rmtree(following, ignore_errors=True)
    following.mkdir(parents=True)
    fill(following)
    for path in following.iterdir():
        sync(path)
    sync(following)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(following, folder)
    sync(folder.parent)


def lock(path):
    """Takes a lock until this process ends. All models share it, because two trainings do not fit into memory."""
    file = open(path, "a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        print(file.read().strip(), file=sys.stderr)
        sys.exit(BUSY)
    return file


class Stop:
    """True when training must stop after this iteration: on a signal, or when the parent process is gone."""

    def __init__(self):
        self.asked = False
        self.parent = os.getppid()
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, self.ask)

    def ask(self, *_):
        self.asked = True

    def __bool__(self):
        return self.asked or os.getppid() != self.parent


def batches(dataset, size, max_sequence, order):
    """One pass over the data. Groups examples of similar length, and yields the batches in the given order."""
    import mlx.core as mx
    import numpy as np

    by_length = sorted(range(len(dataset)), key=lambda index: len(dataset[index][0]))
    groups = [by_length[start : start + size] for start in range(0, len(by_length), size)]
    for group in order(groups):
        rows = [dataset[index] for index in group]
        longest = max(len(tokens) for tokens, _ in rows)
        # Pads like mlx_lm: fewer shapes need fewer compiled graphs.
        width = min(1 + 32 * math.ceil(longest / 32), max_sequence)
        padded = np.zeros((len(rows), width), np.int32)
        lengths = []
        for row, (tokens, offset) in enumerate(rows):
            kept = min(len(tokens), width)
            padded[row, :kept] = tokens[:kept]
            lengths.append((offset, kept))
        yield mx.array(padded), mx.array(lengths)


def training_batches(dataset, settings, done):
    """The batches after `done` iterations. They are the same for a resumed and an uninterrupted training."""
    import numpy as np

    each = math.ceil(len(dataset) / settings["batch"])
    epoch, skipped = divmod(done, each)
    while True:
        generator = np.random.default_rng([settings["seed"], epoch])

        def order(groups, generator=generator, skipped=skipped):
            return [groups[index] for index in generator.permutation(len(groups))[skipped:]]

        yield from batches(dataset, settings["batch"], settings["maxSequence"], order)
        epoch, skipped = epoch + 1, 0


class Training:
    def __init__(self, given, stop):
        self.given = given
        self.settings = given["settings"]
        self.stop = stop
        self.folder = Path(given["folder"])
        self.checkpoints = self.folder / "checkpoints"
        self.progress = self.folder / "progress.jsonl"
        self.state = {
            "iteration": 0,
            "best": None,
            "worse": 0,
            "losses": [],
            "sum": 0.0,
            "tokens": 0,
            "steps": 0,
            "seconds": 0.0,
            "peakMemory": 0,
        }

    # What is kept

    def begin(self):
        """Resumes from the last checkpoint with the same settings, or starts again. @returns the checkpoint or None"""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "config.yaml"
        same = config.exists() and config.read_text() == self.given["config"]
        if not same:
            for path in (self.checkpoints, self.folder / "adapters"):
                shutil.rmtree(path, ignore_errors=True)
            for path in (self.progress, self.folder / "training.json"):
                path.unlink(missing_ok=True)
            write_whole(config, self.given["config"].encode())
        self.checkpoints.mkdir(exist_ok=True)
        last = max((path for path in self.checkpoints.iterdir() if path.name.isdigit()), default=None)
        if last is not None:
            self.state = json.loads((last / "state.json").read_text())
        lines = self.progress.read_text().splitlines() if self.progress.exists() else []
        write_whole(self.progress, "".join(line + "\n" for line in lines if self.is_kept(line)).encode())
        return last

    def is_kept(self, line):
        """False for a line of an iteration that runs again, and for a line that a kill cut off."""
        try:
            return json.loads(line)["iteration"] <= self.state["iteration"]
        except (ValueError, KeyError):
            return False

    def tell(self, **values):
        peak = max(self.state["peakMemory"], self.mx.get_peak_memory())
        self.state["peakMemory"] = peak
        line = {"iteration": self.state["iteration"], **values, "seconds": round(self.state["seconds"], 2), "peakMemory": peak}
        with open(self.progress, "a") as file:
            file.write(json.dumps(line) + "\n")

    def save(self):
        from mlx.utils import tree_flatten

        def fill(folder):
            self.save_adapter(folder)
            self.mx.save_safetensors(str(folder / "optimizer.safetensors"), dict(tree_flatten(self.optimizer.state)))
            (folder / "state.json").write_text(json.dumps(self.state))

        name = f"{self.state['iteration']:07d}"
        if not (self.checkpoints / name).exists():
            put_folder(self.checkpoints / name, fill)
        else:
            write_whole(self.checkpoints / name / "state.json", json.dumps(self.state).encode())
        needed = {name, f"{(self.state['best'] or self.state)['iteration']:07d}"}
        for path in self.checkpoints.iterdir():
            if path.name not in needed:
                shutil.rmtree(path, ignore_errors=True)

    def save_adapter(self, folder):
        from mlx.utils import tree_flatten

        weights = dict(tree_flatten(self.model.trainable_parameters()))
        self.mx.save_safetensors(str(folder / "adapters.safetensors"), weights)
        full = self.settings["kind"] == "full"
        config = {
            "fine_tune_type": self.settings["kind"],
            "num_layers": self.settings["layers"],
            "lora_parameters": None if full else self.lora(),
        }
        (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")

    def lora(self):
        return {"rank": self.settings["rank"], "scale": self.settings["scale"], "dropout": 0.0}

    # What is computed

    def load(self, checkpoint):
        import mlx.core as mx
        import mlx.optimizers as optimizers
        from mlx.utils import tree_unflatten
        from mlx_lm.tuner.trainer import grad_checkpoint
        from mlx_lm.tuner.utils import linear_to_lora_layers
        from mlx_lm.utils import load

        self.mx = mx
        if not mx.metal.is_available():
            # On a CPU, compilation calls a C++ compiler, which takes minutes and may not be installed.
            mx.disable_compile()
        self.bound_memory()
        mx.random.seed(self.settings["seed"])
        self.model, self.tokenizer = load(self.given["base"])
        count = len(self.model.layers)
        layers = self.settings["layers"]
        if layers > count:
            refuse(f"training.layers must be -1 (all) or at most {count}, the layers of the base, got {layers}")
        self.model.freeze()
        if self.settings["kind"] == "full":
            if any("scales" in name for name, _ in self.parameters()):
                refuse("training.kind full needs a base that is not quantized; use a base in bf16, or kind lora")
            for layer in self.model.layers[-max(layers, 0) :]:
                layer.unfreeze()
        else:
            linear_to_lora_layers(self.model, layers, self.lora())
        if self.settings["gradientCheckpoint"]:
            grad_checkpoint(self.model.layers[0])
        self.optimizer = optimizers.Adam(learning_rate=self.settings["learningRate"])
        self.optimizer.init(self.model.trainable_parameters())
        if checkpoint is not None:
            self.model.load_weights(str(checkpoint / "adapters.safetensors"), strict=False)
            self.optimizer.state = tree_unflatten(list(mx.load(str(checkpoint / "optimizer.safetensors")).items()))
        mx.eval(self.model.parameters(), self.optimizer.state)

    def parameters(self):
        from mlx.utils import tree_flatten

        return tree_flatten(self.model.parameters())

    def bound_memory(self):
        """MLX waits for memory at the limit. `check_memory` stops a training that exceeds it nevertheless."""
        limit = self.given["memoryLimit"]
        self.mx.set_memory_limit(limit)
        # Limits the free buffers that MLX keeps for reuse.
        self.mx.set_cache_limit(limit // 8)
        if self.mx.metal.is_available():
            recommended = self.mx.device_info()["max_recommended_working_set_size"]
            self.mx.set_wired_limit(min(limit, recommended))

    def check_memory(self):
        peak, limit = self.mx.get_peak_memory(), self.given["memoryLimit"]
        if peak > limit:
            refuse(
                f"the training took {peak / 2**30:.2f} GiB, more than its limit of {limit / 2**30:.2f} GiB on this machine;"
                " lower training.batch or training.maxSequence, or use a smaller or quantized base"
            )

    def datasets(self):
        from mlx_lm.tuner.datasets import CacheDataset, create_dataset

        for name in ("train", "valid"):
            with open(Path(self.given["data"]) / f"{name}.jsonl", encoding="utf-8") as file:
                yield CacheDataset(create_dataset([json.loads(line) for line in file], self.tokenizer, None))

    def validate(self, dataset):
        from mlx_lm.tuner.trainer import default_loss

        self.model.eval()
        total, count = 0.0, 0
        # Picks batches of all lengths, the same ones each time.
        def order(groups):
            step = max(1, len(groups) / VALIDATION_BATCHES)
            return [groups[int(index * step)] for index in range(min(len(groups), VALIDATION_BATCHES))]

        for batch, lengths in batches(dataset, self.settings["batch"], self.settings["maxSequence"], order):
            loss, tokens = default_loss(self.model, batch, lengths)
            total += loss.item() * tokens.item()
            count += tokens.item()
            if self.stop:
                return None
        self.model.train()
        return total / count

    def judge(self, loss):
        """Records the loss of a validation, and whether it is the best so far."""
        state = self.state
        if not math.isfinite(loss):
            refuse(f"the validation loss is {loss} after {state['iteration']} iterations; lower training.learningRate")
        state["losses"].append({"iteration": state["iteration"], "train": self.mean_loss(), "valid": loss})
        best = state["best"] is None or loss < state["best"]["loss"]
        if best:
            state["best"] = {"iteration": state["iteration"], "loss": loss}
        state["worse"] = 0 if best else state["worse"] + 1
        state.update(sum=0.0, tokens=0, steps=0)

    def mean_loss(self):
        return self.state["sum"] / self.state["steps"] if self.state["steps"] else None

    def is_over(self):
        return self.state["iteration"] >= self.settings["iterations"] or self.state["worse"] >= self.settings["patience"]

    def run(self):
        import mlx.nn as nn
        from mlx_lm.tuner.trainer import default_loss

        train, valid = self.datasets()
        model, optimizer, state, mx = self.model, self.optimizer, self.state, self.mx
        if self.lacks_validation() and not self.validated(valid):
            return False
        value_and_grad = nn.value_and_grad(model, default_loss)
        compiled = [model.state, optimizer.state, mx.random.state]

        @partial(mx.compile, inputs=compiled, outputs=compiled)
        def step(batch, lengths):
            (loss, tokens), gradient = value_and_grad(model, batch, lengths)
            optimizer.update(model, gradient)
            return loss, tokens

        model.train()
        told = 0.0
        for batch, lengths in training_batches(train, self.settings, state["iteration"]):
            if self.is_over():
                return True
            if self.stop:
                self.save()
                return False
            begin = time.perf_counter()
            loss, tokens = step(batch, lengths)
            mx.eval(compiled, loss, tokens)
            state["iteration"] += 1
            if not math.isfinite(loss.item()):
                refuse(f"the loss is {loss.item()} in iteration {state['iteration']}; lower training.learningRate")
            taken = time.perf_counter() - begin
            state.update(
                sum=state["sum"] + loss.item(),
                tokens=state["tokens"] + tokens.item(),
                steps=state["steps"] + 1,
                seconds=state["seconds"] + taken,
            )
            self.check_memory()
            if self.lacks_validation():
                if not self.validated(valid, tokensPerSecond=round(tokens.item() / taken, 1)):
                    return False
            elif time.monotonic() - told >= PROGRESS_SECONDS:
                told = time.monotonic()
                self.tell(train=self.mean_loss(), tokensPerSecond=round(tokens.item() / taken, 1))

    def lacks_validation(self):
        iteration, losses = self.state["iteration"], self.state["losses"]
        due = iteration % self.given["every"] == 0 or iteration == self.settings["iterations"]
        return due and (not losses or losses[-1]["iteration"] != iteration)

    def validated(self, dataset, **values):
        """Validates and saves. @returns False when training was stopped meanwhile"""
        begin = time.perf_counter()
        loss = self.validate(dataset)
        if loss is None:
            self.save()
            return False
        self.state["seconds"] += time.perf_counter() - begin
        train = self.mean_loss()
        self.judge(loss)
        self.save()
        self.tell(**({} if train is None else {"train": train}), valid=loss, **values)
        return True

    def finish(self):
        best = self.checkpoints / f"{self.state['best']['iteration']:07d}"

        def fill(folder):
            for name in ("adapters.safetensors", "adapter_config.json"):
                shutil.copyfile(best / name, folder / name)

        adapters = self.folder / "adapters"
        put_folder(adapters, fill)
        told = {
            **self.given["told"],
            "iterations": self.state["iteration"],
            "best": self.state["best"],
            "losses": [{key: value for key, value in loss.items() if value is not None} for loss in self.state["losses"]],
            "seconds": round(self.state["seconds"], 1),
            "peakMemory": self.state["peakMemory"],
            "versions": {
                "python": platform.python_version(),
                "mlx": version("mlx"),
                "mlxLm": version("mlx-lm"),
                **({"macos": platform.mac_ver()[0]} if sys.platform == "darwin" else {"linux": platform.release()}),
            },
            "seed": self.settings["seed"],
            "adapter": "adapters",
            "adapterDigest": "sha256:" + hashlib.sha256((adapters / "adapters.safetensors").read_bytes()).hexdigest(),
        }
        write_whole(self.folder / "training.json", (json.dumps(told, indent=2) + "\n").encode())


def main():
    given = json.load(sys.stdin)
    stop = Stop()
    held = lock(given["lock"])
    training = Training(given, stop)
    checkpoint = training.begin()
    held.truncate(0)
    held.write(f"{given['told']['name']}, process {os.getpid()}")
    held.flush()
    if sys.platform == "darwin":
        # Ends with this process.
        subprocess.Popen(["caffeinate", "-i", "-w", str(os.getpid())])
    training.load(checkpoint)
    if not training.run():
        print(f"stopped after {training.state['iteration']} iterations", file=sys.stderr)
        sys.exit(STOPPED)
    training.finish()


if __name__ == "__main__":
    main()
