#!/usr/bin/env python3
"""Prints the README's table of kernel speeds from bench/results/kernels-2-threads.json; with a file of
weft_cuda_kernel_bench as argument, a table of all its cases."""
import json
import pathlib
import sys

CPU_ROWS = [
    ("matmul 4096 x 1536 -> 8960, bias, GELU", "linear/gelu/rows:4096/depth:1536/outputs:8960"),
    ("matmul 4096 x 8960 -> 1536", "linear/plain/rows:4096/depth:8960/outputs:1536"),
    ("self-attention, 4096 tokens, 12 heads x 128", "attention/queries:4096/keys:4096/heads:12/width:128"),
    ("cross-attention, 1024 x 513 keys", "attention/queries:1024/keys:513/heads:12/width:128"),
    ("convolution 3x3x3, 96 channels, 240 x 416", "conv/frames:1/height:240/width:416/channels:96/outputs:96/kt:3"),
    ("convolution 3x3x3, 384 channels, 60 x 104", "conv/frames:2/height:60/width:104/channels:384/outputs:384/kt:3"),
]
# rate and share of each ceiling: keys of a case, key of the context
CEILINGS = [
    ("TFLOP/s", "percent_of_matmul", "matmul", "matmul_tflops"),
    ("GB/s", "percent_of_copy", "copy", "copy_gbytes"),
    ("GB/s", "percent_of_bus", "bus", "bus_gbytes"),
]


def print_cpu(results):
    context = results["context"]
    print(f"| {context['processor']}, {context['num_cpus']} cores, float32, {context['date'][:10]} | GFLOP/s | of the measured peak"
          f" ({float(context['peak_gflops']):.0f} GFLOP/s) |")
    print("|---|---|---|")
    for title, start in CPU_ROWS:
        run = next(b for b in results["benchmarks"] if b["name"].startswith(start))
        print(f"| {title} | {run['GFLOP/s']:.0f} | {run['percent_of_peak']:.0f} % |")


def title_and_sizes(name):
    """linear/gelu/rows:32760/depth:1536/manual_time -> "linear, gelu", "rows 32760, depth 1536"."""
    parts = name.removesuffix("/manual_time").split("/")
    return (", ".join(p.replace("_", " ") for p in parts if ":" not in p),
            ", ".join(p.replace(":", " ") for p in parts if ":" in p))


def print_cuda(results):
    context = results["context"]
    ceilings = ", ".join(f"{name} {float(context[key]):.0f} {rate}" for rate, _, name, key in CEILINGS)
    print(f"| {context['ops']}, {context['date'][:10]} | sizes | µs | rate | of {ceilings} |")
    print("|---|---|---|---|---|")
    for run in results["benchmarks"]:
        ceiling = next((c for c in CEILINGS if c[1] in run), None)
        if ceiling is None or run.get("run_type") == "aggregate":  # None: a case that could not run
            continue
        rate, percent, name, _ = ceiling
        title, sizes = title_and_sizes(run["name"])
        print(f"| {title} | {sizes} | {run['real_time']:.1f} | {run[rate]:.0f} {rate} | {run[percent]:.0f} % of {name} |")


def main():
    default = pathlib.Path(__file__).parent / "results/kernels-2-threads.json"
    results = json.loads((pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default).read_text())
    (print_cuda if "matmul_tflops" in results["context"] else print_cpu)(results)


main()
