"""Peak memory of training steps with mlx_lm, as scripts/models/python/train.py makes them.

Reads cases from standard input, as JSON: a list of {config, training}. Weights and tokens are random, in bf16. Prints a list of bytes.
"""

import importlib
import json
import sys

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optimizers
from mlx.utils import tree_map
from mlx_lm.tuner.trainer import default_loss, grad_checkpoint
from mlx_lm.tuner.utils import linear_to_lora_layers

mx.disable_compile()


def peak(config, training):
    module = importlib.import_module(f"mlx_lm.models.{config['model_type']}")
    model = module.Model(module.ModelArgs.from_dict(config))
    model.update(tree_map(lambda weight: weight.astype(mx.bfloat16), model.parameters()))
    model.freeze()
    if training["kind"] == "full":
        for layer in model.layers[-training["layers"] :]:
            layer.unfreeze()
    else:
        linear_to_lora_layers(
            model, training["layers"], {"rank": training["rank"], "scale": 20.0, "dropout": 0.0}
        )
    if training["gradientCheckpoint"]:
        grad_checkpoint(model.layers[0])
    optimizer = optimizers.Adam(learning_rate=1e-5)
    optimizer.init(model.trainable_parameters())
    mx.eval(model.parameters(), optimizer.state)
    value_and_grad = nn.value_and_grad(model, default_loss)
    size, length = training["batch"], training["maxSequence"]
    batch = mx.random.randint(0, config["vocab_size"], (size, length + 1))
    lengths = mx.array([[1, length]] * size)
    mx.reset_peak_memory()
    for _ in range(2):
        (loss, _), gradient = value_and_grad(model, batch, lengths)
        optimizer.update(model, gradient)
        mx.eval(model.state, optimizer.state, loss)
    return mx.get_peak_memory()


for one in json.load(sys.stdin):
    print(json.dumps({"peak": peak(one["config"], one["training"])}), flush=True)
    mx.clear_cache()
