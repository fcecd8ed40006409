"""Prints greedy answers of MLX. Reads {"model", "adapter", "system", "prompts": [{"prompt", "tokens"}]}. Prints for each prompt
the rendered prompt and the answer, and for each token its end and its distance to the second best token in nats.
"""
import json
import sys

import mlx.core as mx
from mlx_lm.generate import generate_step
from mlx_lm.utils import load


def rendered(tokenizer, system, prompt):
    """Applies the chat template of the model. Leaves out the first token, which Ollama and the tokenizer add."""
    if not tokenizer.has_chat_template:
        return prompt
    messages = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    begin = tokenizer.bos_token
    adds = tokenizer.bos_token_id is not None and tokenizer.encode("")[:1] == [tokenizer.bos_token_id]
    return text[len(begin) :] if adds and begin and text.startswith(begin) else text


def answer(model, tokenizer, text, limit):
    tokens, gaps, ends = [], [], []
    for token, logprobs in generate_step(mx.array(tokenizer.encode(text)), model, max_tokens=limit):
        best = mx.sort(mx.topk(logprobs, 2))
        token = int(token)
        if token in tokenizer.eos_token_ids:
            break
        tokens.append(token)
        gaps.append(round((best[1] - best[0]).item(), 4))
        ends.append(len(tokenizer.decode(tokens)))
    return {"rendered": text, "text": tokenizer.decode(tokens) if tokens else "", "ends": ends, "gaps": gaps}


def main():
    asked = json.load(sys.stdin)
    model, tokenizer = load(asked["model"], adapter_path=asked.get("adapter"))
    for each in asked["prompts"]:
        text = rendered(tokenizer, asked.get("system"), each["prompt"])
        print(json.dumps(answer(model, tokenizer, text, each["tokens"])), flush=True)


main()
