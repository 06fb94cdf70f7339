"""Writes the samples that the Parquet tests read: pip install pyarrow && python write.py"""

import datetime
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

here = pathlib.Path(__file__).parent
messages = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def user(content):
    return [{"role": "user", "content": content}]


def assistant(content):
    return [{"role": "assistant", "content": content}]


preferences = pa.table(
    {
        "prompt": pa.array([user("sky?"), user("grass?"), user("sea?")], messages),
        "chosen": pa.array([assistant("blue"), assistant("green"), assistant("wet")], messages),
        "rejected": pa.array([assistant("red"), assistant("dry"), assistant("hot")], messages),
        "strength": pa.array(["better", None, "significantly"]),
        "margin": pa.array([0.5, None, 1.0], pa.float32()),
        "id": pa.array([1, 2, 3], pa.int64()),
    }
)
pq.write_table(preferences, here / "preferences.snappy.parquet", compression="snappy", row_group_size=2)
pq.write_table(preferences, here / "preferences.zstd.parquet", compression="zstd")
pq.write_table(preferences.select(["id"]), here / "gzip.parquet", compression="gzip")

odd = pa.table(
    {
        "text": pa.array([b"text without an annotation"], pa.binary()),
        "image": pa.array([b"\xff\xd8"], pa.binary()),
        "margin": pa.array([float("nan")], pa.float64()),
        "day": pa.array([datetime.date(2026, 11, 24)], pa.date32()),
    }
)
pq.write_table(odd, here / "odd.parquet")
