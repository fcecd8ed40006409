"""Measures how much of the training is in the fused weights. Reads {"base", "adapter", "fused", "scale", "samples"}. Prints for
some modules the share of the adapter's change: 1 is all, 0 is nothing. Does not depend on how the weights were fused.
"""
import json
import sys
from pathlib import Path

import mlx.core as mx
from mlx_lm.utils import load


def weight_of(modules, name):
    module = modules[name]
    if "scales" not in module:
        return module.weight.astype(mx.float32)
    biases = module["biases"] if "biases" in module else None
    whole = mx.dequantize(
        module.weight, module.scales, biases, group_size=module.group_size, bits=module.bits, mode=module.mode
    )
    return whole.astype(mx.float32)


def share(change, expected):
    """Fits by least squares, so that random rounding errors cancel out."""
    size = mx.sum(expected * expected).item()
    return None if size == 0 else round(mx.sum(change * expected).item() / size, 4)


def main():
    asked = json.load(sys.stdin)
    trained = mx.load(str(Path(asked["adapter"]) / "adapters.safetensors"))
    base, fused = (dict(load(asked[each], lazy=True)[0].named_modules()) for each in ("base", "fused"))
    low_rank = sorted(key[: -len(".lora_a")] for key in trained if key.endswith(".lora_a"))
    whole = [] if low_rank else sorted(k[: -len(".weight")] for k in trained if k.endswith(".weight") and trained[k].ndim == 2)
    names = low_rank or whole
    step = max(1, len(names) // asked["samples"])
    found = {}
    for name in names[::step][: asked["samples"]]:
        before = weight_of(base, name)
        if low_rank:
            a, b = (trained[f"{name}.{part}"].astype(mx.float32) for part in ("lora_a", "lora_b"))
            expected = asked["scale"] * (a @ b).T
        else:
            expected = trained[f"{name}.weight"].astype(mx.float32) - before
        found[name] = share(weight_of(fused, name) - before, expected)
    print(json.dumps(found))


main()
