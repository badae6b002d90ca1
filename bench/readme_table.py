#!/usr/bin/env python3
"""Prints the README's table of kernel speeds from bench/results/kernels-2-threads.json."""
import json
import pathlib

results = json.loads((pathlib.Path(__file__).parent / "results/kernels-2-threads.json").read_text())
context = results["context"]
rows = [
    ("matmul 4096 x 1536 -> 8960, bias, GELU", "linear/gelu/rows:4096/depth:1536/outputs:8960"),
    ("matmul 4096 x 8960 -> 1536", "linear/plain/rows:4096/depth:8960/outputs:1536"),
    ("self-attention, 4096 tokens, 12 heads x 128", "attention/queries:4096/keys:4096/heads:12/width:128"),
    ("cross-attention, 1024 x 513 keys", "attention/queries:1024/keys:513/heads:12/width:128"),
    ("convolution 3x3x3, 96 channels, 240 x 416", "conv/frames:1/height:240/width:416/channels:96/outputs:96/kt:3"),
    ("convolution 3x3x3, 384 channels, 60 x 104", "conv/frames:2/height:60/width:104/channels:384/outputs:384/kt:3"),
]
print(f"| {context['processor']}, {context['num_cpus']} cores, float32, {context['date'][:10]} | GFLOP/s | of the measured peak"
      f" ({float(context['peak_gflops']):.0f} GFLOP/s) |")
print("|---|---|---|")
for title, start in rows:
    run = next(b for b in results["benchmarks"] if b["name"].startswith(start))
    print(f"| {title} | {run['GFLOP/s']:.0f} | {run['percent_of_peak']:.0f} % |")
