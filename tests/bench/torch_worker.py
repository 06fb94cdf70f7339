"""The baseline of the training and generation rows: plain PyTorch around the models of `transformers`.

`torch_worker.py train|generate gpt2|llama THREADS`: the same shapes, data sizes and turns as the trainer's example
bench_trainer, which see. Every choice that is open is made in PyTorch's favour: fused AdamW, SDPA attention, no dropout,
no cache that is not needed, no statistics.
"""
import json
import sys
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

VOCABULARY, ROWS, LENGTH, PROMPTS, NEW_TOKENS = 2048, 8, 128, 32, 32


def model_of(architecture):
    special = {"bos_token_id": None, "eos_token_id": None, "attn_implementation": "sdpa"}
    if architecture == "gpt2":
        config = GPT2Config(vocab_size=VOCABULARY, n_positions=256, n_embd=128, n_layer=4, n_head=4,
                            resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, **special)
        return GPT2LMHeadModel(config)
    config = LlamaConfig(vocab_size=VOCABULARY, hidden_size=128, intermediate_size=352, num_hidden_layers=4,
                         num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
                         tie_word_embeddings=True, **special)
    return LlamaForCausalLM(config)


def training(model):
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    rows = torch.randint(0, VOCABULARY, (ROWS, LENGTH + 1))
    inputs, targets = rows[:, :-1].contiguous(), rows[:, 1:].flatten()

    def step():
        logits = model(inputs, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        return ROWS * LENGTH

    return step


def generation(model):
    """Prompts of 12 to 28 tokens, padded on the left as `generate` wants it."""
    model.eval()
    lengths = [12 + row % 17 for row in range(PROMPTS)]
    longest = max(lengths)
    prompts = torch.zeros(PROMPTS, longest, dtype=torch.long)
    mask = torch.zeros(PROMPTS, longest, dtype=torch.long)
    for row, length in enumerate(lengths):
        prompts[row, longest - length:] = torch.randint(0, VOCABULARY, (length,))
        mask[row, longest - length:] = 1

    @torch.inference_mode()
    def batch():
        tokens = model.generate(prompts, attention_mask=mask, do_sample=True, temperature=1.0, top_k=0, top_p=1.0,
                                max_new_tokens=NEW_TOKENS, pad_token_id=0)
        return (tokens.shape[1] - longest) * PROMPTS

    return batch


def main():
    what, architecture, threads = sys.argv[1:]
    logging.set_verbosity_error()
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    model = model_of(architecture)
    print(json.dumps({"parameters": model.num_parameters()}), flush=True)
    work = {"train": training, "generate": generation}[what](model)
    for line in sys.stdin:
        start = time.perf_counter()
        tokens = sum(work() for _ in range(int(line)))
        print(json.dumps({"tokens": tokens, "seconds": time.perf_counter() - start}), flush=True)


main()
