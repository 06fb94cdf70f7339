"""Writes the small datasets that the recipes in configs/recipes/test learn within seconds: small.py FOLDER."""

import json
import sys
from pathlib import Path

NOUNS = "list map buffer path value queue stream token header frame cursor node".split()
STATES = "empty full valid ready closed shared".split()


def pair(at):
    """A comment, and the signature that it asks for."""
    noun, state = NOUNS[at % len(NOUNS)], STATES[at // 3 % len(STATES)]
    comment, signature = (
        (f"Returns true if the {noun} is {state}.", f"is_{state}(&self) -> bool"),
        (f"Returns the number of items in the {noun}.", f"{noun}_len(&self) -> usize"),
        (f"Makes a {noun} that is {state}.", f"{state}_{noun}() -> Self"),
    )[at % 3]
    return f"/// {comment}\npub fn", f" {signature}"


def row(at):
    prompt, completion = pair(at)
    return {"prompt": prompt, "completion": completion}


def text(at):
    return {"text": "".join(pair(at)) + ";\n"}


def main(folder):
    for name, make, rows in [
        ("corpus/train", text, range(400)),
        ("corpus/validation", text, range(400, 440)),
        ("sft/train", row, range(120)),
        ("sft/validation", row, range(120, 140)),
        ("heldout/test", row, range(140, 172)),
    ]:
        path = folder / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(make(at)) + "\n" for at in rows))


main(Path(sys.argv[1]))
