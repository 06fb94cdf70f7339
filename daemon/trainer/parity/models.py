"""begat's models beside those of `transformers`: logits of what either side saved, and golden values for the tests."""

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from shapes import fresh, gpt2, llama

AGAINST = f"transformers {transformers.__version__}"
SEQUENCES = [13, 7]

GOLDENS = {
    "gpt2": gpt2(),
    "gpt2-untied": gpt2(layers=1, tied=False),
    "llama": llama(),
    "llama-untied": llama(layers=1, tied=False, groups=1),
}

SHAPES = {
    **GOLDENS,
    "gpt2-wide": gpt2(width=96, layers=3, heads=3, vocab=257),
    "gpt2-odd-head": gpt2(width=36, layers=2, heads=6),
    "gpt2-inner": gpt2(n_inner=72),
    "llama-wide": llama(width=96, layers=3, heads=6, groups=3, inner=200, vocab=257),
    "llama-head-dim": llama(head_dim=24),
    "llama-theta": llama(rope_parameters={"rope_type": "default", "rope_theta": 500000.0}),
    "llama-full": llama(groups=4, tied=False),
}


def sample_tokens(vocab, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, vocab, (length,), generator=generator) for length in SEQUENCES]


def logits_of(model, sequences):
    with torch.no_grad():
        return torch.cat([model(row[None]).logits[0] for row in sequences])


def loss_of(model, sequences):
    total, count = 0.0, 0
    for row in sequences:
        logits = model(row[None]).logits[0, :-1]
        total = total + torch.nn.functional.cross_entropy(logits, row[1:], reduction="sum")
        count += len(row) - 1
    return total / count


def train(model, sequences, steps=5):
    """Losses and gradient norms of a short run: AdamW on matrices and the rest apart, clipping, warm-up and cosine."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1.0, betas=(0.9, 0.95), eps=1e-8)
    warmup, fraction, peak = 2, 0.1, 1e-3

    def rate(step):
        if step < warmup:
            return step / warmup
        progress = (step - warmup) / (steps - warmup)
        return fraction + (1 - fraction) * 0.5 * (1 + np.cos(np.pi * progress))

    losses, norms, rates = [], [], []
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = peak * rate(step)
        optimizer.zero_grad()
        loss = loss_of(model, sequences)
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)))
        optimizer.step()
        losses.append(float(loss.detach()))
        rates.append(peak * rate(step))
    return {"losses": losses, "norms": norms, "rates": rates}


def write_goldens(out):
    for number, (name, config) in enumerate(GOLDENS.items()):
        folder = Path(out) / name
        model = fresh(config, number)
        model.save_pretrained(folder)
        for extra in folder.iterdir():
            if extra.name not in ("config.json", "model.safetensors"):
                extra.unlink()
        sequences = sample_tokens(config.vocab_size)
        values = {"logits": logits_of(model, sequences), "loss": loss_of(model, sequences).detach()[None]}
        loss_of(model, sequences).backward()
        if not name.endswith("-untied"):
            values |= {f"gradient.{key}": p.grad.clone() for key, p in model.named_parameters()}
        save_file({key: value.contiguous() for key, value in values.items()}, folder / "golden.safetensors")
        about = {"sequences": [row.tolist() for row in sequences], **train(model, sequences),
                 "source": f"{AGAINST}, torch {torch.__version__}"}
        (folder / "golden.json").write_text(json.dumps(about, indent=1) + "\n")
        print(f"wrote {folder}")


def begat_logits(stage, folder, sequences):
    with tempfile.TemporaryDirectory() as work:
        tokens = Path(work) / "tokens.json"
        tokens.write_text(json.dumps([row.tolist() for row in sequences]))
        command = [stage, "logits", "--model", folder, "--tokens", tokens]
        run = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return torch.tensor([row for sequence in json.loads(run.stdout) for row in sequence])


def check_theirs(table, stage, work):
    """Models that transformers saved, whole and in shards, with begat's forward pass."""
    for number, (name, config) in enumerate(SHAPES.items()):
        model = fresh(config, 100 + number)
        sequences = sample_tokens(config.vocab_size, number)
        for kind, size in (("one file", "1GB"), ("shards", "30KB")):
            folder = Path(work) / f"theirs-{name}-{size}"
            model.save_pretrained(folder, max_shard_size=size)
            if kind == "shards":
                assert (folder / "model.safetensors.index.json").exists(), "expected several shards"
            table.compare(f"logits of {name}, saved by transformers in {kind}", AGAINST,
                          begat_logits(stage, folder, sequences), logits_of(model, sequences))


def check_ours(table, stage, work):
    """Models that begat initialised and saved, with transformers' forward pass."""
    for number, (name, config) in enumerate(SHAPES.items()):
        shape, folder = Path(work) / f"shape-{name}", Path(work) / f"ours-{name}"
        config.architectures = ["GPT2LMHeadModel" if config.model_type == "gpt2" else "LlamaForCausalLM"]
        config.save_pretrained(shape)
        folder.mkdir()
        subprocess.run([stage, "initialise", "--config", shape / "config.json", "--seed", str(number), "--out", folder],
                       check=True)
        model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
        odd = {key: value for key, value in report.items() if value}
        if odd:
            table.refuse(f"loading {name}, saved by begat: {odd}", AGAINST)
        sequences = sample_tokens(config.vocab_size, number)
        table.compare(f"logits of {name}, saved by begat", AGAINST, begat_logits(stage, folder, sequences),
                      logits_of(model.eval(), sequences))
