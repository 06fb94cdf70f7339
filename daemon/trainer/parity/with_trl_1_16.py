#!/usr/bin/env python3
"""Writes cases of reward models, DPO, SFT and greedy generation, computed by TRL 1.16.0 and transformers.

    with_trl_1_16.py OUT usual|small SEED
"""

import sys
import tempfile
from itertools import combinations
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
import trl
from datasets import Dataset
from transformers import TrainerCallback
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer, SFTConfig, SFTTrainer
from trl.kernels import chunked_logprob

import cases
from shapes import END, PADDING, fresh_policy, fresh_scorer, moved, random_rows, shape

TRL = f"trl {trl.__version__}"


def reward(out, architecture, size, seed, work):
    config = shape(architecture, size)
    generator = torch.Generator().manual_seed(seed)
    chosen, rejected = (random_rows(5, 3, 12, config.vocab_size, generator) for _ in range(2))
    margins = [1.0, 2 / 3, 1 / 3, 0.0, 3.0]
    for name, with_margin, centring in (("plain", False, None), ("margin", True, None), ("margin-centred", True, 0.1)):
        model = fresh_scorer(config, seed)
        rows = [{"chosen_ids": one, "rejected_ids": two} for one, two in zip(chosen, rejected)]
        if with_margin:
            rows = [{**row, "margin": margin} for row, margin in zip(rows, margins)]
        args = RewardConfig(**cases.plain(work, center_rewards_coefficient=centring))
        trainer = RewardTrainer(model, args=args, train_dataset=Dataset.from_list(rows),
                                processing_class=cases.tokenizer(config.vocab_size))
        loss, outputs = trainer.compute_loss(trainer.model, trainer.data_collator(rows), return_outputs=True)
        loss.backward()
        measured = {key: trainer._metrics["eval"][key][0] for key in ("accuracy", "margin", "mean_reward")}
        units = [{"sequences": [one, two], "pairs": [[0, 1, margin if with_margin else 0.0]]}
                 for one, two, margin in zip(chosen, rejected, margins)]
        about = {"kind": "reward", "against": TRL, "units": units, "center_rewards_coefficient": centring or 0.0}
        scores = torch.stack(outputs.logits.squeeze(-1).chunk(2), dim=1).flatten()
        cases.write(out / f"reward-{architecture}-{name}", about,
                    {"loss": loss, "scores": scores, **measured, **cases.gradients(model)}, {"model": model})


def ranking(out, architecture, size, seed):
    """InstructGPT's loss of K answers (arXiv 2203.02155, eq. 1) by its formula: TRL has no such loss."""
    config = shape(architecture, size)
    generator = torch.Generator().manual_seed(seed)
    prompts = [random_rows(count, 3, 12, config.vocab_size, generator) for count in (4, 2, 5)]
    model = fresh_scorer(config, seed)
    losses, scores = [], []
    for answers in prompts:
        found = torch.cat([model(torch.tensor([answer])).logits[0] for answer in answers]).double()
        losses.append(-torch.stack([F.logsigmoid(found[w] - found[l])
                                    for w, l in combinations(range(len(answers)), 2)]).mean())
        scores.append(found)
    loss = torch.stack(losses).mean()
    loss.backward()
    units = [{"sequences": answers, "pairs": [[w, l, 0.0] for w, l in combinations(range(len(answers)), 2)]}
             for answers in prompts]
    about = {"kind": "reward", "against": "InstructGPT, eq. 1", "units": units, "center_rewards_coefficient": 0.0}
    cases.write(out / f"ranking-{architecture}", about,
                {"loss": loss, "scores": torch.cat(scores), **cases.gradients(model)}, {"model": model})


def dpo(out, architecture, size, seed, work):
    config = shape(architecture, size)
    generator = torch.Generator().manual_seed(seed)
    prompts, chosen, rejected = (random_rows(4, 2, 9, config.vocab_size, generator) for _ in range(3))
    rows = [{"prompt_ids": p, "chosen_ids": [*c, END], "rejected_ids": [*r, END]}
            for p, c, r in zip(prompts, chosen, rejected)]
    text = Dataset.from_list([{"prompt": "<2>", "chosen": "<3>", "rejected": "<4>"}])
    for name, weight in (("plain", 0.0), ("nll", 0.2)):
        model, reference = fresh_policy(config, seed), moved(fresh_policy(config, seed), seed + 1, 0.1)
        kinds = {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, weight]} if weight else {}
        args = DPOConfig(**cases.plain(work, beta=0.3, **kinds))
        trainer = DPOTrainer(model, ref_model=reference, args=args, train_dataset=text,
                             processing_class=cases.tokenizer(config.vocab_size))
        inputs = trainer.data_collator(rows)
        with cases.locals_of(DPOTrainer._compute_loss) as seen:
            loss = trainer.compute_loss(trainer.model, inputs)
        loss.backward()
        found = seen[0]
        mask = found["shift_completion_mask"].bool()
        theirs = {
            "loss": loss,
            "log_probabilities": found["per_token_logps"][mask],
            "entropies": found["outputs"].entropy[mask],
            "reference_sums": torch.cat([found["ref_chosen_logps"], found["ref_rejected_logps"]]),
            "rewards": torch.cat([found["chosen_rewards"], found["rejected_rewards"]]),
            **cases.reward_means({key: values[0] for key, values in trainer._metrics[found["mode"]].items()
                                  if key != "num_tokens"}),
            **cases.gradients(model),
        }
        pairs = [{key.removesuffix("_ids"): tokens for key, tokens in row.items()} for row in rows]
        about = {"kind": "dpo", "against": TRL, "pairs": pairs, "beta": 0.3, "label_smoothing": 0.0,
                 "sft_loss_weight": weight}
        cases.write(out / f"dpo-{architecture}-{name}", about, theirs, {"model": model, "reference": reference})


class BeforeTheStep(TrainerCallback):
    """Keeps the gradients as the optimizer sees them: summed over micro-batches and clipped."""

    def on_pre_optimizer_step(self, args, state, control, model=None, **_):
        self.gradients = cases.gradients(model)


def sft(out, architecture, size, seed, work):
    """One step in float64, of which the angles of rotary embeddings alone stay in float32, as they do in begat."""
    config = shape(architecture, size)
    generator = torch.Generator().manual_seed(seed)
    prompts, completions = (random_rows(6, 2, 9, config.vocab_size, generator) for _ in range(2))
    rows = [{"input_ids": [*p, *c, END], "completion_mask": [0] * len(p) + [1] * (len(c) + 1)}
            for p, c in zip(prompts, completions)]
    step = {"learning_rate": 1e-3, "adam_beta1": 0.9, "adam_beta2": 0.95, "adam_epsilon": 1e-8, "weight_decay": 0.1,
            "max_grad_norm": 0.1}
    before = fresh_policy(config, seed)
    cases.save_model(Path(work) / "before", before)
    model = before.double()
    args = SFTConfig(**cases.plain(work, max_steps=1, per_device_train_batch_size=3, gradient_accumulation_steps=2,
                                   lr_scheduler_type="constant", completion_only_loss=True, logging_steps=1, **step))
    callback = BeforeTheStep()
    trainer = SFTTrainer(model, args=args, train_dataset=Dataset.from_list(rows), callbacks=[callback],
                         processing_class=cases.tokenizer(config.vocab_size))
    losses = []
    compute_loss = trainer.compute_loss

    def kept(*args, **more):
        loss = compute_loss(*args, **more)
        losses.append(loss.detach())
        return loss

    trainer.compute_loss = kept
    trainer.train()
    norm = trainer.state.log_history[0]["grad_norm"]
    if norm <= step["max_grad_norm"]:
        raise ValueError(f"a gradient norm of {norm} is not clipped at {step['max_grad_norm']}")
    theirs = {"loss": sum(losses), "gradient_norm": torch.tensor(norm, dtype=torch.float64), **callback.gradients,
              **cases.named("parameter", model, lambda value: value)}
    about = {"kind": "sft", "against": TRL, **step, "micro_batch": 3,
             "rows": [{"prompt": p, "completion": [*c, END]} for p, c in zip(prompts, completions)]}
    folder = out / f"sft-step-float64-{architecture}"
    cases.write(folder, about, theirs)
    (Path(work) / "before").rename(folder / "model")


def generation(out, architecture, size, seed):
    config = shape(architecture, size)
    generator = torch.Generator().manual_seed(seed)
    prompts = random_rows(6, 2, 15, config.vocab_size, generator)
    model = fresh_policy(config, seed)
    longest = max(map(len, prompts))
    padded = torch.tensor([[PADDING] * (longest - len(row)) + row for row in prompts])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in prompts])
    found = model.generate(padded, attention_mask=mask, do_sample=False, max_new_tokens=24, eos_token_id=END,
                           pad_token_id=PADDING, output_logits=True, return_dict_in_generate=True)
    completions, gap = [], float("inf")
    for row, tokens in enumerate(found.sequences[:, longest:].tolist()):
        tokens = tokens[:tokens.index(END) + 1] if END in tokens else tokens
        completions.append(tokens)
        for place in range(len(tokens)):
            first, second = found.logits[place][row].topk(2).values
            gap = min(gap, float(first - second))
    about = {"kind": "generate", "against": f"transformers {transformers.__version__}", "prompts": prompts,
             "max_new_tokens": 24, "end": END, "smallest_gap": gap}
    theirs = {"tokens": torch.tensor(sum(completions, [])), "lengths": torch.tensor([len(one) for one in completions])}
    cases.write(out / f"generate-{architecture}", about, theirs, {"model": model})


def main():
    out, size, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory() as work:
        for architecture in ("gpt2", "llama"):
            reward(out, architecture, size, seed, work)
            ranking(out, architecture, size, seed)
            dpo(out, architecture, size, seed, work)
            generation(out, architecture, size, seed)
        cases.in_float64(LlamaRMSNorm, "forward")
        cases.in_float64(chunked_logprob, "_addmm_fp32", "_forward_tile", "_backward_tile")
        cases.in_float64(chunked_logprob.ChunkedLogProbFunction, "forward", "backward")
        for architecture in ("gpt2", "llama"):
            sft(out, architecture, size, seed, work)


main()
