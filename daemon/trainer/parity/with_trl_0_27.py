#!/usr/bin/env python3
"""Writes cases of DPO with label smoothing, computed by TRL 0.27.2, the last minor version whose sigmoid loss has it.

    with_trl_0_27.py OUT usual|small SEED
"""

import sys
import tempfile
from pathlib import Path

import torch
import trl
from datasets import Dataset
from trl import DPOConfig, DPOTrainer

import cases
from shapes import END, fresh_policy, moved, random_rows, shape


def smoothed(out, architecture, size, seed, work):
    config = shape(architecture, size)
    generator = torch.Generator().manual_seed(seed)
    prompts, chosen, rejected = (random_rows(4, 2, 9, config.vocab_size, generator) for _ in range(3))
    rows = [{"prompt_input_ids": p, "chosen_input_ids": [*c, END], "rejected_input_ids": [*r, END]}
            for p, c, r in zip(prompts, chosen, rejected)]
    model, reference = fresh_policy(config, seed), moved(fresh_policy(config, seed), seed + 1, 0.1)
    args = DPOConfig(**cases.plain(work, beta=0.3, label_smoothing=0.1))
    trainer = DPOTrainer(model, ref_model=reference, args=args, processing_class=cases.tokenizer(config.vocab_size),
                         train_dataset=Dataset.from_list([{"prompt": "<2>", "chosen": "<3>", "rejected": "<4>"}]))
    with cases.locals_of(DPOTrainer.get_batch_loss_metrics) as seen:
        loss = trainer.compute_loss(trainer.model, trainer.data_collator(rows))
    loss.backward()
    found = seen[0]
    theirs = {"loss": loss, "rewards": torch.cat([found["chosen_rewards"], found["rejected_rewards"]]),
              "reference_sums": torch.cat([found["ref_chosen_logps"], found["ref_rejected_logps"]]),
              **cases.reward_means({key: value for key, value in found["metrics"].items()
                                    if not key.startswith("logits/")}),
              **cases.gradients(model)}
    pairs = [{"prompt": p, "chosen": [*c, END], "rejected": [*r, END]} for p, c, r in zip(prompts, chosen, rejected)]
    about = {"kind": "dpo", "against": f"trl {trl.__version__}", "pairs": pairs, "beta": 0.3, "label_smoothing": 0.1,
             "sft_loss_weight": 0.0}
    cases.write(out / f"dpo-{architecture}-smoothed", about, theirs, {"model": model, "reference": reference})


def main():
    out, size, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory() as work:
        for architecture in ("gpt2", "llama"):
            smoothed(out, architecture, size, seed, work)


main()
