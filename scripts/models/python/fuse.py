"""Fuses an adapter into its base, in f16. Reads {"base", "adapter", "target"}. Prints the number of fused {"modules"}.

mlx_lm.fuse adds in the type of the base, and bf16 rounds small changes away (mlx-lm#1172). This script adds in f32, and f16
has three bits of precision more than bf16.
"""
import json
import sys
from pathlib import Path

import mlx.core as mx
from mlx.utils import tree_map, tree_unflatten
from mlx_lm.utils import dequantize_model, load, save

LARGEST_F16 = 65504


def fused(module):
    inner = module.embedding if "embedding" in module else module.linear
    for name in ("weight", "scales", "biases"):
        if name in inner and mx.issubdtype(inner[name].dtype, mx.floating):
            inner[name] = inner[name].astype(mx.float32)
    result = module.fuse(dequantize=True)
    result.update(tree_map(half, result.parameters()))
    mx.eval(result.parameters())  # Evaluates one module at a time, so that only one is in memory as f32.
    return result


def half(array):
    if not mx.issubdtype(array.dtype, mx.floating) or array.dtype == mx.float16:
        return array
    if not mx.all(mx.abs(array) <= LARGEST_F16).item():
        raise SystemExit(f"a weight is not a number or larger than {LARGEST_F16}, the maximum of f16")
    return array.astype(mx.float16)


def keep_template(target):
    """Copies the chat template to where Ollama reads it. transformers 5 writes it to a separate file."""
    template, settings = target / "chat_template.jinja", target / "tokenizer_config.json"
    if template.exists():
        config = json.loads(settings.read_text())
        settings.write_text(json.dumps({**config, "chat_template": template.read_text()}, indent=2))


def main():
    asked = json.load(sys.stdin)
    model, tokenizer, config = load(asked["base"], adapter_path=asked["adapter"], lazy=True, return_config=True)
    modules = [(name, fused(module)) for name, module in model.named_modules() if hasattr(module, "fuse")]
    if modules:
        model.update_modules(tree_unflatten(modules))
    model = dequantize_model(model)
    model.update(tree_map(half, model.parameters()))
    for name in ("quantization", "quantization_config"):
        config.pop(name, None)
    config["torch_dtype"] = "float16"
    target = Path(asked["target"])
    save(target, asked["base"], model, tokenizer, config)
    keep_template(target)
    print(json.dumps({"modules": len(modules)}))


main()
