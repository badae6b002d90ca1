#!/usr/bin/env python3
"""Prints the README's table of whole models from bench/results/models-h200: files of weft-bench-model, and
diffusers.json of tools/compare/diffusers_reference.py --json."""
import json
import pathlib

FOLDER = pathlib.Path(__file__).parent / "results/models-h200"
# title, model, stage, beginning of the size, part of diffusers' times
ROWS = [
    ("1.3B, 832 x 480, 81 frames: forward", "wan2.1-1.3b", "forward", "832x480x81", "time-1.3b"),
    ("5B, 1280 x 704, 121 frames: forward", "wan2.2-5b", "forward", "1280x704x121", "time-5b"),
    ("14B, 832 x 480, 81 frames: forward", "wan2.1-14b", "forward", "832x480x81", "time-14b-480p"),
    ("14B, 1280 x 720, 81 frames: forward", "wan2.1-14b", "forward", "1280x720x81", "time-14b"),
    ("autoencoder 2.1, 832 x 480, 81 frames: decode", "wan2.1-1.3b", "decode", "832x480x81", "time-vae-2.1"),
    ("autoencoder 2.2, 1280 x 704, 121 frames: decode", "wan2.2-5b", "decode", "1280x704x121", "time-vae-2.2"),
    ("UMT5-XXL, 512 tokens", "wan2.1-1.3b", "text", "512", "time-umt5"),
]


def main():
    files = [json.loads(f.read_text()) for f in sorted(FOLDER.glob("wan*.json"))]
    rows = [row for file in files for row in file["rows"]]
    peer = json.loads((FOLDER / "diffusers.json").read_text())
    ceilings = [c["tflops_per_second"] for f in files for c in f["ceilings"] if c["precision"] == "bf16"]
    context = peer["context"]
    dates = sorted({f["context"]["date"][:10] for f in files})
    print(f"| {context['device']}, seconds (peak GB) | diffusers bf16, {context['date']} | weft bf16, {' and '.join(dates)} | TFLOP/s "
          f"| of matmul ({sorted(ceilings)[len(ceilings) // 2]:.0f}) | weft fp8 |\n|---|---|---|---|---|---|")
    for title, model, stage, size, part in ROWS:
        def find(precision):
            return next((r for r in rows if (r["model"], r["stage"], r["precision"]) == (model, stage, precision)
                         and r["size"].startswith(size)), None)
        bf16, fp8 = find("bf16"), find("fp8") if stage == "forward" else None
        other = next((p for p in peer["rows"] if p["part"] == part), None)
        cell = lambda r: f"{r['seconds']:.3g} ({r['peak_gb']:.1f})" if r else ""  # noqa: E731
        print(f"| {title} | {cell(other)} | **{cell(bf16)}** | {bf16['tflops_per_second']:.0f} "
              f"| {bf16['percent_of_ceiling']:.0f} % | {cell(fp8)} |")


if __name__ == "__main__":
    main()
