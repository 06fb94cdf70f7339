"""The baseline of the alignment rows: whole `train()` calls of TRL's own trainers.

`trl_worker.py THREADS MODEL DATA [REWARD_MODEL]`: after each line `KIND COUNT` on standard input it trains a fresh
copy of MODEL on the first COUNT rows of DATA and prints one JSON line; making the trainer, which tokenizes the rows, is
not in the time. Every choice that is open is made in TRL's favour: no checkpoints, logs, reports or evaluation, no
recomputed activations, the fused AdamW, and rows grouped by length where the trainer can do that.
"""
import json
import os
import sys
import tempfile
import time

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TQDM_DISABLE": "1"}

import datasets  # noqa: E402  (after the variables that it reads)
import torch  # noqa: E402
import transformers  # noqa: E402

BATCH, ROLLOUT, MINIBATCHES, EPOCHS, NEW_TOKENS = 32, 128, 2, 2, 32
LEAN = {"bf16": False, "gradient_checkpointing": False, "use_cpu": True, "dataloader_pin_memory": False,
        "optim": "adamw_torch_fused", "learning_rate": 1e-4, "adam_beta2": 0.95, "weight_decay": 0.1,
        "save_strategy": "no", "logging_strategy": "no", "report_to": "none", "disable_tqdm": True}


class Bench:
    """The model, the tokenizer and the rows that every trainer begins with."""

    def __init__(self, folder, data, reward_folder=None):
        self.folder, self.reward_folder = folder, reward_folder
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        with open(data, encoding="utf-8") as lines:
            self.rows = [json.loads(line) for line in lines]
        self.scratch = tempfile.mkdtemp(prefix="trl-")

    def preferences(self, count):
        """The pairs, with the longer answer's length to group them by."""
        rows = self.rows[:count]
        lengths = [max(len(self.tokenizer(row["prompt"] + row[key])["input_ids"]) for key in ("chosen", "rejected"))
                   for row in rows]
        return datasets.Dataset.from_list([{**row, "length": length} for row, length in zip(rows, lengths)])

    def prompts(self, count):
        tokens = [self.tokenizer(row["prompt"])["input_ids"] for row in self.rows[:count]]
        return datasets.Dataset.from_dict({"input_ids": tokens})

    def policy(self):
        return transformers.AutoModelForCausalLM.from_pretrained(self.folder, dtype=torch.float32)

    def judge(self):
        kind = transformers.AutoModelForSequenceClassification
        return kind.from_pretrained(self.reward_folder, dtype=torch.float32)

    def pairwise(self, trainer, config, count, **more):
        """A trainer of pairs, for one pass over them."""
        settings = config(output_dir=self.scratch, per_device_train_batch_size=BATCH, max_steps=count // BATCH,
                          max_length=128, train_sampling_strategy="group_by_length", remove_unused_columns=False,
                          **LEAN, **more)
        return trainer(model=self.folder, args=settings, train_dataset=self.preferences(count),
                       processing_class=self.tokenizer)

    def reward(self, count):
        import trl
        return self.pairwise(trl.RewardTrainer, trl.RewardConfig, count)

    def dpo(self, count):
        """The reference's log-probabilities are computed in each step, TRL's default."""
        import trl
        return self.pairwise(trl.DPOTrainer, trl.DPOConfig, count)

    def dpo_kept(self, count):
        """The reference's log-probabilities are computed while the trainer is made."""
        import trl
        return self.pairwise(trl.DPOTrainer, trl.DPOConfig, count, precompute_ref_log_probs=True)

    def ppo(self, count):
        """A rollout is completed, judged and cut into minibatches, each passed through the models in one piece."""
        from trl.experimental.ppo import PPOConfig, PPOTrainer
        settings = PPOConfig(output_dir=self.scratch, per_device_train_batch_size=ROLLOUT, num_mini_batches=MINIBATCHES,
                             local_rollout_forward_batch_size=ROLLOUT, total_episodes=count, num_ppo_epochs=EPOCHS,
                             response_length=NEW_TOKENS, temperature=1.0, num_sample_generations=0, vf_coef=0.5, **LEAN)
        self.tokenizer.padding_side = "left"
        rows = self.prompts(count)
        return PPOTrainer(settings, self.tokenizer, self.policy(), self.policy(), self.judge(), rows, self.judge(),
                          eval_dataset=rows)


def measured(trainer, count):
    seconds, cpu = time.perf_counter(), time.process_time()
    trainer.train()
    return {"done": count, "seconds": time.perf_counter() - seconds, "cpu": time.process_time() - cpu}


def main():
    threads, *folders = sys.argv[1:]
    torch.set_num_threads(int(threads))
    transformers.utils.logging.set_verbosity_error()
    datasets.disable_progress_bars()
    bench = Bench(*folders)
    answers, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps({"rows": len(bench.rows)}), file=answers, flush=True)
    for line in sys.stdin:
        kind, count = line.split()
        trainer = getattr(bench, kind)(int(count))
        print(json.dumps(measured(trainer, int(count))), file=answers, flush=True)


main()
