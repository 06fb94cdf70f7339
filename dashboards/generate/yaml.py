"""Writes dicts, lists, texts and numbers as YAML; Python's own library has none."""

import json
import re

PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./:-]*|\d+(ms|[smhd])")
WORDS = {"true", "false", "null", "yes", "no", "on", "off"}


def write(value, comment):
    """The document, after a comment of one or more lines."""
    lines = [f"# {line}".rstrip() for line in comment.strip().splitlines()]
    return "\n".join([*lines, *block(value, 0)]) + "\n"


def block(value, indent):
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in entry(f"{key}:", item, indent)]
    return [line for item in value for line in element(item, indent)]


def entry(key, value, indent):
    """A key and its value: on the key's line, or as a block below it."""
    pad = " " * indent
    if isinstance(value, str) and "\n" in value:
        return [f"{pad}{key} |-", *(f"{pad}  {line}".rstrip() for line in value.splitlines())]
    if isinstance(value, (dict, list)) and value:
        return [f"{pad}{key}", *block(value, indent + 2)]
    return [f"{pad}{key} {scalar(value)}"]


def element(value, indent):
    """An element of a list: its first line begins with the dash."""
    if not isinstance(value, dict):
        return [f"{' ' * indent}- {scalar(value)}"]
    first, *rest = block(value, indent + 2)
    return [f"{' ' * indent}- {first.lstrip()}", *rest]


def scalar(value):
    if isinstance(value, str) and PLAIN.fullmatch(value) and value not in WORDS:
        return value
    if isinstance(value, str) and '"' in value and "'" not in value:
        return f"'{value}'"
    return json.dumps(value, ensure_ascii=False)
