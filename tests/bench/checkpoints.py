"""What resumable checkpoints cost a training: the same run with one every 20 steps and with none, in turns."""
import lineage
import stages
from measuring import in_turns, median, table

STEPS, EVERY = 200, 20


def report(programs, work, data, threads):
    corpus = lineage.first_rows(data / "corpus", work / "corpus", 200)
    tokens = stages.tokenizer(programs, work / "tokenizer", corpus)

    def training(save_steps):
        return stages.pretrain(programs, work / "stage", "gpt2", corpus, tokens, STEPS,
                               save_steps=save_steps, threads=threads)

    pairs = in_turns(lambda: training(EVERY), lambda: training(0))
    seconds = [(one.training_seconds(), other.training_seconds()) for one, other in pairs]
    cpu = [(one.cost.cpu, other.cost.cpu) for one, other in pairs]
    cells = [f"gpt2, {threads} thread{'s' * (threads > 1)}, {STEPS} steps"]
    for both in (seconds, cpu):
        cells += [f"{median(one):.2f}" for one in zip(*both)]
        cells.append(f"{100 * (median(one / other for one, other in both) - 1):+.1f} %")
    cells.append(f"{median(one.count('checkpoint') for one, _ in pairs):.0f} of {STEPS // EVERY}")
    table(f"A resumable checkpoint every {EVERY} steps against none (wall s from the first step to the end; CPU s)",
          ["", "with", "without", "price", "CPU with", "without", "price", "written"], [cells])
