"""What both sides of a comparison read: a case is a folder with its models, `case.json` (what to compute) and
`theirs.safetensors` (what the other side found). `../examples/parity` adds `ours.safetensors`."""

import contextlib
import inspect
import json
import sys
import textwrap

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from shapes import END, PADDING


def write(folder, about, theirs, models=None):
    folder.mkdir(parents=True)
    for name, model in (models or {}).items():
        save_model(folder / name, model)
    (folder / "case.json").write_text(json.dumps(about) + "\n")
    save_file({name: torch.as_tensor(value).detach().clone().contiguous() for name, value in theirs.items()},
              folder / "theirs.safetensors")


def save_model(folder, model):
    model.save_pretrained(folder)
    for extra in folder.iterdir():
        if extra.name not in ("config.json", "model.safetensors"):
            extra.unlink()


def named(prefix, model, of):
    return {f"{prefix}.{name}": of(value).detach().clone() for name, value in model.named_parameters()}


def gradients(model):
    return named("gradient", model, lambda value: value.grad)


def reward_means(metrics):
    """The means of implicit rewards as one tensor: each alone may nearly cancel, and is then mostly rounding."""
    return {"reward_means": torch.tensor([metrics.pop(f"rewards/{key}") for key in ("chosen", "rejected", "margins")]),
            **metrics}


def tokenizer(vocab):
    """One word a token: trainers ask for a tokenizer, though they get token ids."""
    words = {f"<{number}>": number for number in range(vocab)}
    inner = Tokenizer(WordLevel(words, unk_token=f"<{PADDING}>"))
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=f"<{END}>", pad_token=f"<{PADDING}>")


def plain(work, **more):
    """Arguments of a TRL trainer that computes in the model's own precision on the CPU, and writes nothing."""
    return {"output_dir": str(work), "report_to": "none", "use_cpu": True, "bf16": False, "fp16": False,
            "gradient_checkpointing": False, "save_strategy": "no", "disable_tqdm": True, "seed": 0, **more}


def in_float64(owner, *names):
    """Compiles functions of a package anew with float64 where they ask for float32, which rounds what is wider."""
    for name in names:
        function = getattr(owner, name)
        source = textwrap.dedent(inspect.getsource(function))
        wide = source.replace("torch.float32", "torch.float64").replace(".float()", ".double()")
        if wide == source:
            raise LookupError(f"{function.__qualname__} does not ask for float32")
        scope = {}
        exec(wide, function.__globals__, scope)
        setattr(owner, name, scope[name])


@contextlib.contextmanager
def locals_of(function, before=None):
    """Collects the local variables of each call: where it returns, or at each line that begins with `before`."""
    lines, first = inspect.getsourcelines(function)
    wanted = {first + number for number, line in enumerate(lines) if before and line.strip().startswith(before)}
    if before and not wanted:
        raise LookupError(f"no line of {function.__qualname__} begins with `{before}`")
    seen = []

    def inside(frame, event, _):
        if event == "line" and frame.f_lineno in wanted or event == "return" and not before:
            seen.append(dict(frame.f_locals))
        return inside

    sys.settrace(lambda frame, *_: inside if frame.f_code is function.__code__ else None)
    try:
        yield seen
    finally:
        sys.settrace(None)
