#!/usr/bin/env python3
"""Writes cases of PPO, computed by one rollout and two updates of TRL 1.12.0's own `PPOTrainer`.

    with_trl_1_12.py OUT usual|small SEED

Nothing of TRL is repeated here: the trainer runs as it is, and what it computes is read from its local variables.
"""

import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")

import numpy as np
import torch
import trl
from datasets import Dataset
from trl.experimental.ppo import PPOConfig, PPOTrainer

import cases
from shapes import END, fresh_policy, fresh_scorer, moved, random_rows, shape

TRL = f"trl {trl.__version__}"
EPISODES, LENGTH = 8, 12
SETTINGS = {
    "k1": {"kl_estimator": "k1", "kl_coef": 0.05, "whiten_rewards": False, "missing_eos_penalty": None, "gamma": 1.0,
           "lam": 0.95},
    "k3-whitened-penalty": {"kl_estimator": "k3", "kl_coef": 0.2, "whiten_rewards": True, "missing_eos_penalty": 1.5,
                            "gamma": 0.97, "lam": 0.9},
}
LOSSES = {"cliprange": 0.2, "cliprange_value": 0.2, "vf_coef": 0.3, "temperature": 0.7}


class Rollout:
    """A trainer, and what its `train` had computed: before each optimizer step, and at the end of each minibatch."""

    def __init__(self, architecture, size, seed, settings, work):
        config = shape(architecture, size)
        self.policy, self.value = fresh_policy(config, seed), fresh_scorer(config, seed + 1)
        self.reference = moved(fresh_policy(config, seed), seed + 2, 0.02)
        self.scorer = fresh_scorer(config, seed + 3)
        generator = torch.Generator().manual_seed(seed)
        prompts = random_rows(EPISODES, 2, 9, config.vocab_size, generator)
        args = PPOConfig(**cases.plain(work, per_device_train_batch_size=EPISODES, total_episodes=EPISODES,
                                       num_ppo_epochs=2, response_length=LENGTH, stop_token="eos", learning_rate=3e-3,
                                       num_sample_generations=0, **settings, **LOSSES))
        np.random.seed(seed)
        tokenizer = cases.tokenizer(config.vocab_size)
        tokenizer.padding_side = "left"
        trainer = PPOTrainer(args, tokenizer, self.policy, self.reference, self.scorer,
                             Dataset.from_list([{"input_ids": row} for row in prompts]), self.value)
        self.steps, backward = [], trainer.accelerator.backward

        def kept(loss):
            backward(loss)
            self.steps.append({
                "policy": {key: value.clone() for key, value in self.policy.state_dict().items()},
                "value": {key: value.clone() for key, value in self.value.state_dict().items()},
                "policy_gradients": cases.gradients(self.policy), "value_gradients": cases.gradients(self.value)})

        trainer.accelerator.backward = kept
        with cases.locals_of(PPOTrainer.train, before="gradient_accumulation_idx += 1") as self.minibatches:
            trainer.train()

    def is_telling(self):
        """Whether some answers ended early, one was cut, and no padding token was sampled."""
        found = self.minibatches[0]
        tokens = found["responses"].masked_fill(found["padding_mask"], END)
        ended = found["contain_eos_token"]
        return bool((tokens != found["processing_class"].pad_token_id).all() and ended.sum() >= 2 and not ended.all())


def episodes(found):
    """Tokens of each episode without padding, and which row of TRL's tensors it is."""
    pad, start = found["processing_class"].pad_token_id, found["context_length"]
    for row, tokens in enumerate(found["query_responses"].tolist()):
        prompt = [token for token in tokens[:start] if token != pad]
        length = int(found["sequence_lengths"][row]) + 1
        yield {"tokens": prompt + tokens[start:start + length], "prompt": len(prompt),
               "ended": bool(found["contain_eos_token"][row])}


def write_rollout(folder, rollout, settings):
    found = rollout.minibatches[0]
    tokens, slots = ~found["padding_mask"], ~found["padding_mask_p1"]
    theirs = {
        "log_probabilities": found["logprobs"][tokens],
        "reference_log_probabilities": found["ref_logprobs"][tokens],
        "values": found["values"][slots], "scores": found["scores"].flatten(), "divergences": found["kl"][tokens],
        "rewards": found["rewards"][slots], "advantages": found["advantages"][tokens],
        "returns": found["returns"][slots],
    }
    about = {"kind": "ppo_rollout", "against": TRL, "episodes": list(episodes(found)), "response_length": LENGTH,
             "temperature": LOSSES["temperature"], **settings}
    rollout.policy.load_state_dict(rollout.steps[0]["policy"])
    rollout.value.load_state_dict(rollout.steps[0]["value"])
    cases.write(folder, about, theirs, {"policy": rollout.policy, "reference": rollout.reference,
                                        "value": rollout.value, "reward": rollout.scorer})


def write_update(folder, rollout, number):
    """One minibatch: TRL's losses and gradients from its own log-probabilities, advantages, values and returns."""
    found, step = rollout.minibatches[number], rollout.steps[number]
    order = torch.from_numpy(found["micro_batch_inds"])
    tokens, slots = ~found["padding_mask"][order], ~found["padding_mask_p1"][order]
    share = tokens.numel() / tokens.sum()
    theirs = {
        "policy_token_losses": found["pg_loss_max"][tokens], "value_slot_losses": found["vf_loss_max"][slots],
        # The policy's loss alone may nearly cancel: it is a mean of whitened advantages.
        "losses": torch.stack([found["pg_loss"], found["vf_loss"]]),
        "policy_clip_fraction": found["pg_clipfrac"], "value_clip_fraction": found["vf_clipfrac"],
        # TRL's means of these go over padding as well, where there is nothing: here over tokens.
        "approximate_kl": found["approxkl"] * share, "entropy": found["entropy"][tokens].mean(),
        "ratio": found["ratio"][tokens].mean(),
        **{f"policy_{key}": value for key, value in step["policy_gradients"].items()},
        **{f"value_{key}": value for key, value in step["value_gradients"].items()},
        "input.log_probabilities": found["mb_logprobs"][tokens], "input.advantages": found["mb_advantage"][tokens],
        "input.values": found["mb_values"][slots], "input.returns": found["mb_return"][slots],
    }
    all_episodes = list(episodes(found))
    # Before the first update the ratio is 1.
    zero = ["approximate_kl"] if number == 0 else []
    about = {"kind": "ppo_update", "against": TRL, "episodes": [all_episodes[row] for row in order.tolist()],
             "response_length": LENGTH, "zero": zero, **LOSSES}
    rollout.policy.load_state_dict(step["policy"])
    rollout.value.load_state_dict(step["value"])
    cases.write(folder, about, theirs, {"policy": rollout.policy, "value": rollout.value})


def telling(architecture, size, seed, settings, work):
    for attempt in range(200):
        rollout = Rollout(architecture, size, seed + 1000 * attempt, settings, work)
        if rollout.is_telling():
            return rollout
    raise RuntimeError("no rollout of 200 had both answers that end and answers that are cut")


def main():
    out, size, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory() as work:
        for architecture, (name, settings) in zip(("gpt2", "llama"), SETTINGS.items()):
            rollout = telling(architecture, size, seed, settings, work)
            write_rollout(out / f"ppo-{architecture}-{name}-rollout", rollout, settings)
            for number in range(2):
                write_update(out / f"ppo-{architecture}-{name}-update-{number + 1}", rollout, number)


main()
