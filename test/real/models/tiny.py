"""Makes a tiny model in the format of MLX and Hugging Face, and teaches it by full fine-tuning what its caller says.

    tiny.py FOLDER < {"architecture": "llama"|"qwen2", "seed": 1, "iterations": 150, "lessons": [{"prompt": "...", "answer": "..."}],
                      "words": lessons that it is not taught, whose words the tokenizer knows}

Random weights answer with near ties, in which any rounding chooses another token: nothing could be compared. A model that was
taught a sentence is sure of each next word.
"""

import json
import os
import sys

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_map
from mlx_lm import load
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

# Rows of 256 numbers are what q4_K can hold; heads of 64 are what a KV cache of q8_0 can.
WIDTH, LAYERS, HEADS, KV_HEADS, FEED_FORWARD, VOCABULARY, CONTEXT = 256, 2, 4, 1, 256, 320, 2048
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# Letter by letter that of ChatML which Ollama knows by name.
TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Of Qwen2; Ollama knows the tokenizer by the digest of this.
QWEN2_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def tokenizer(folder, architecture, texts):
    made = Tokenizer(models.BPE())
    if architecture == "qwen2":
        words = pre_tokenizers.Split(Regex(QWEN2_WORDS), behavior="isolated", invert=False)
        bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        made.pre_tokenizer = pre_tokenizers.Sequence([words, bytes_only])
    else:
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    if made.get_vocab_size() != VOCABULARY:
        sys.exit(f"the lessons must give {VOCABULARY} tokens, got {made.get_vocab_size()}; add words to them")
    made.save(os.path.join(folder, "tokenizer.json"))
    write(
        folder,
        "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": None,
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "clean_up_tokenization_spaces": False,
            "model_max_length": CONTEXT,
            "chat_template": TEMPLATE,
        },
    )


def config(folder, architecture):
    name = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}[architecture]
    write(
        folder,
        "config.json",
        {
            "architectures": [name],
            "model_type": architecture,
            "hidden_size": WIDTH,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS,
            "head_dim": WIDTH // HEADS,
            "intermediate_size": FEED_FORWARD,
            "vocab_size": VOCABULARY,
            "max_position_embeddings": CONTEXT,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10000.0,
            "hidden_act": "silu",
            "tie_word_embeddings": False,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "torch_dtype": "bfloat16",
        },
    )
    write(folder, "generation_config.json", {"bos_token_id": 0, "eos_token_id": 2})


def weights(folder, architecture):
    """Random ones, by the names that both readers know."""

    def random(rows, columns):
        return mx.random.normal((rows, columns)) * 0.05

    head = WIDTH // HEADS
    made = {
        "model.embed_tokens.weight": random(VOCABULARY, WIDTH),
        "model.norm.weight": mx.ones(WIDTH),
        "lm_head.weight": random(VOCABULARY, WIDTH),
    }
    for index in range(LAYERS):
        at = f"model.layers.{index}"
        for part, count in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS)):
            made[f"{at}.self_attn.{part}_proj.weight"] = random(count * head, WIDTH)
            if architecture == "qwen2":
                made[f"{at}.self_attn.{part}_proj.bias"] = mx.zeros(count * head)
        made[f"{at}.self_attn.o_proj.weight"] = random(WIDTH, HEADS * head)
        made[f"{at}.mlp.gate_proj.weight"] = random(FEED_FORWARD, WIDTH)
        made[f"{at}.mlp.up_proj.weight"] = random(FEED_FORWARD, WIDTH)
        made[f"{at}.mlp.down_proj.weight"] = random(WIDTH, FEED_FORWARD)
        made[f"{at}.input_layernorm.weight"] = mx.ones(WIDTH)
        made[f"{at}.post_attention_layernorm.weight"] = mx.ones(WIDTH)
    save(folder, made)


def save(folder, made):
    mx.save_safetensors(os.path.join(folder, "model.safetensors"), made, metadata={"format": "pt"})
    size = sum(each.nbytes for each in made.values())
    names = {name: "model.safetensors" for name in sorted(made)}
    write(folder, "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": names})


def teach(folder, lessons, iterations):
    """All weights learn, in float32; they are kept in bfloat16, as those of real repositories are."""
    model, words = load(folder)
    model.update(tree_map(lambda each: each.astype(mx.float32), model.parameters()))
    rows = []
    for prompt, answer in lessons:
        text = chat(prompt, answer)
        rows.append(words.encode(text, add_special_tokens=False))
    length = max(map(len, rows))
    tokens = mx.array([row + [0] * (length - len(row)) for row in rows])
    mask = mx.array([[1.0] * (len(row) - 1) + [0.0] * (length - len(row)) for row in rows])

    def loss(model, tokens):
        each = nn.losses.cross_entropy(model(tokens[:, :-1]), tokens[:, 1:])
        return (each * mask).sum() / mask.sum()

    step = nn.value_and_grad(model, loss)
    optimizer = optim.Adam(learning_rate=1e-3)
    value = mx.array(0.0)
    for _ in range(iterations):
        value, gradient = step(model, tokens)
        optimizer.update(model, gradient)
        mx.eval(model.parameters(), optimizer.state)
    save(folder, {name: each.astype(mx.bfloat16) for name, each in tree_flatten(model.parameters())})
    return value.item()


def chat(prompt, answer):
    return f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>"


def write(folder, name, value):
    with open(os.path.join(folder, name), "w") as file:
        json.dump(value, file, indent=2)


def main():
    folder = sys.argv[1]
    asked = json.load(sys.stdin)
    mx.random.seed(asked["seed"])
    os.makedirs(folder, exist_ok=True)
    lessons = [(each["prompt"], each["answer"]) for each in asked["lessons"]]
    tokenizer(folder, asked["architecture"], [text for each in asked["words"] for text in each.values()])
    config(folder, asked["architecture"])
    weights(folder, asked["architecture"])
    value = teach(folder, lessons, asked["iterations"])
    if not value < 0.5:
        sys.exit(f"the model must learn its lessons to a loss below 0.5, got {value:.3f}; raise iterations")
    print(f"loss {value:.4f}")


main()
