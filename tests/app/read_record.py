"""Reads a run record with h5py as include/weft/run/run_record.h describes it. 77: there is no h5py."""

import sys

try:
    import h5py
except ImportError as error:
    print(f"h5py cannot be used: {error}")
    sys.exit(77)


def text(value):
    return value.decode() if isinstance(value, bytes) else value


with h5py.File(sys.argv[1], "r") as record:
    assert record.attrs["schema"] == 2
    assert text(record.attrs["command"]) == "render"
    assert text(record["config"].attrs["prompt"]) == sys.argv[2], record["config"].attrs["prompt"]
    resolved = record["config/resolved"].attrs
    steps = int(resolved["steps"])
    stages = [text(name) for name in record["stages/names"]]
    hosts = record["ranks/host"]
    assert record["stages/seconds"].shape == (len(hosts), len(stages))
    assert record["plan/windows"].shape == (len(record["plan/owner"]), 6)
    assert len(record["plan/flops"]) == len(stages)
    assert all(len(text(h)) == 16 for h in record["model/files/hash"])
    for rank in range(len(hosts)):
        spans = record[f"spans/{rank}"][:]
        assert spans.shape[1] == 6
        denoise = spans[spans[:, 0] == stages.index("denoise")]
        assert sorted(denoise[:, 4]) == list(range(steps)), denoise
        assert (spans[:, 1] <= spans[:, 2]).all()
        assert (denoise[:, 5] > 0).all()
    print(f"{len(hosts)} ranks, {steps} steps, {text(record['ranks/device'][0])}")
