"""The files that the store is measured on: what two begat recipes leave behind, and random bytes."""
import os
import shutil

import stages
from measuring import fresh, say

SAVE_STEPS, STEPS = 20, 200
SFT_ROWS = 3200
RANDOM_BYTES = 1_000_000_000


def first_rows(source, folder, rows):
    """A dataset of the first rows, for stages that need not see all."""
    fresh(folder)
    with open(source / "train.jsonl", encoding="utf-8") as lines, \
            open(folder / "train.jsonl", "w", encoding="utf-8") as out:
        for _, line in zip(range(rows), lines):
            out.write(line)
    return folder


def make(programs, work, data):
    """Trains both architectures for a while, keeping every checkpoint; gives the folder of all that came out."""
    lineage = fresh(work / "lineage")
    for name in ("corpus", "sft", "heldout"):
        shutil.copytree(data / name, lineage / name)
    corpus = first_rows(data / "corpus", work / "corpus", 200)
    pairs = first_rows(data / "sft", work / "sft", SFT_ROWS)
    tokens = stages.tokenizer(programs, work / "tokenizer", corpus)
    shutil.copytree(tokens, lineage / "tokenizer")
    for architecture in stages.MODELS:
        say(f"bench: training a lineage of {architecture}")
        pretrained = stages.pretrain(programs, work / "stage", architecture, corpus, tokens, STEPS,
                                     save_steps=SAVE_STEPS, keep="all")
        model = take(pretrained, lineage / f"{architecture}-pretrain")
        tuned = stages.sft(programs, work / "stage", model, pairs, save_steps=SAVE_STEPS, keep="all")
        take(tuned, lineage / f"{architecture}-sft")
    return lineage


def take(stage, folder):
    folder.mkdir()
    shutil.move(stage.checkpoints, folder / "checkpoints")
    return shutil.move(stage.output, folder / "model")


def random(work):
    folder = fresh(work / "random")
    with open(folder / "bytes", "wb") as out:
        for _ in range(RANDOM_BYTES // 1_000_000):
            out.write(os.urandom(1_000_000))
    return folder


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
