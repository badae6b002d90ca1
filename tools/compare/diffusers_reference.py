#!/usr/bin/env python3
"""Results and times of diffusers, the reference implementation, for comparison with weft.

Components of the true sizes get random weights (no download), rounded once to the bf16 in which they are
stored, so that diffusers in float32, diffusers in bf16 and weft all compute with the same values:

  diffusers_reference.py OUT                       # the four parts below that are marked *
  diffusers_reference.py OUT --parts transformer-1.3b,vae-2.1
  diffusers_reference.py OUT --time                # and diffusers' own times, parts marked +

  transformer-1.3b*  -5b*  -14b  -tiny             OUT/PART/transformer/ and OUT/PART/check.safetensors
  vae-2.1*  vae-2.2*  vae-tiny-2.1  vae-tiny-2.2   OUT/PART/vae/         and OUT/PART/check.safetensors
  time-1.3b+  time-5b+  time-5b-tokens  time-14b-480p  time-14b  time-vae-2.1+  time-vae-2.2+  time-umt5+

Then, for each of the first two lines: weft-bench-model --folder OUT/PART --check OUT/PART/check.safetensors
"""

import argparse
import contextlib
import json
import os
import statistics
import time

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors.torch import save_file
from torch.nn.attention import SDPBackend, sdpa_kernel

SEED = 7
TEXT_ROWS, REAL_ROWS = 512, 77  # rows of text that reach the model; of the prompt, the others being zeros
TIMESTEP = 875

TRANSFORMERS = {
    "1.3b": {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30},
    "5b": {"num_attention_heads": 24, "ffn_dim": 14336, "num_layers": 30, "in_channels": 48, "out_channels": 48},
    "14b": {"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40},
    "tiny": {"num_attention_heads": 2, "attention_head_dim": 48, "ffn_dim": 256, "num_layers": 3, "text_dim": 64},
}
RESIDUAL = {"is_residual": True, "in_channels": 12, "out_channels": 12, "patch_size": 2, "scale_factor_spatial": 16}
VAES = {
    "2.1": {"base_dim": 96, "z_dim": 16},
    "2.2": {"base_dim": 160, "decoder_base_dim": 256, "z_dim": 48, **RESIDUAL},
    "tiny-2.1": {"base_dim": 8, "z_dim": 4},
    "tiny-2.2": {"base_dim": 8, "decoder_base_dim": 12, "z_dim": 6, **RESIDUAL},
}
# Of transformers: latents [frames, rows, columns]. Of autoencoders: pixels a side, always 17 frames.
CHECK_LATENTS = {"1.3b": (5, 60, 104), "5b": (5, 44, 80), "14b": (5, 60, 104), "tiny": (3, 8, 12)}
CHECK_SIDE = {"2.1": 256, "2.2": 256, "tiny-2.1": 32, "tiny-2.2": 64}
# What is timed: name of the sizes, latents, one timestep for every token (as the 5B's pipeline passes them).
TIMES = {
    "time-1.3b": ("1.3b", (21, 60, 104), False),
    "time-5b": ("5b", (31, 44, 80), False),
    "time-5b-tokens": ("5b", (31, 44, 80), True),
    "time-14b-480p": ("14b", (21, 60, 104), False),
    "time-14b": ("14b", (21, 90, 160), False),
    "time-tiny": ("tiny", (3, 8, 12), False),
    "time-vae-2.1": ("2.1", (21, 60, 104), None),
    "time-vae-2.2": ("2.2", (31, 44, 80), None),
    "time-vae-tiny-2.1": ("tiny-2.1", (3, 4, 4), None),
    "time-umt5": (None, None, None),
}
CHECK_PARTS = ["transformer-1.3b", "transformer-5b", "vae-2.1", "vae-2.2"]
TIME_PARTS = ["time-1.3b", "time-5b", "time-vae-2.1", "time-vae-2.2", "time-umt5"]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def stays_float32(model, name):
    """Whether from_pretrained(torch_dtype=bfloat16) leaves this parameter in float32."""
    kept = getattr(model, "_keep_in_fp32_modules", None) or []
    return any(part in name.split(".") for part in kept)


def vary(model):
    """Makes default-initialised weights behave like trained ones where that matters for a comparison.

    Default weights have variance 1 / (3 fan-in): every layer shrinks its input, the blocks hardly change what
    flows past them, and their errors would not be seen in the result.
    """
    for name, p in model.named_parameters():
        if name.endswith((".norm_q.weight", ".norm_k.weight")):
            p.normal_(1.6, 0.1)  # logits of standard deviation 2.5: attention that chooses; with 1 it only averages
        elif name.endswith((".norm2.weight", ".gamma")):
            p.normal_(1, 0.1)
        elif name.endswith(".norm2.bias"):
            p.normal_(0, 0.1)
        elif name.endswith(".to_qkv.weight"):
            p[: 2 * p.shape[0] // 3].mul_(2 * 3**0.5)  # queries and keys, as for norm_q and norm_k
            p[2 * p.shape[0] // 3 :].mul_(3**0.5)
        elif ".time_proj." in name:
            p.mul_(4)  # gates and scales of about one half
        elif name.endswith(".weight") and p.ndim > 1 and "conv_out" not in name:
            p.mul_(3**0.5)


def make(kind, config):
    """A component on the device, in float32, whose values are exact in the types that it is stored in."""
    torch.manual_seed(SEED)
    with torch.device(DEVICE):
        model = kind(**config).eval().requires_grad_(False)
    vary(model)
    for name, p in model.named_parameters():
        if not stays_float32(model, name):
            p.data = p.data.bfloat16().float()
    return model


def reduce(model):
    """In place: the types that from_pretrained(torch_dtype=bfloat16) gives."""
    for name, p in model.named_parameters():
        if not stays_float32(model, name):
            p.data = p.data.bfloat16()
    return model


def save(model, folder):
    os.makedirs(folder, exist_ok=True)
    model.save_config(folder)
    weights = {name: (p if stays_float32(model, name) else p.bfloat16()).cpu().contiguous()
               for name, p in model.named_parameters()}
    save_file(weights, f"{folder}/diffusion_pytorch_model.safetensors")


def relative_error(x, reference):
    return ((x.double() - reference.double()).norm() / reference.double().norm()).item()


def exact_attention():
    return sdpa_kernel([SDPBackend.MATH])  # float32 throughout; the fused kernels may take short cuts


def write_check(part, folder, inputs, name, reference, reduced):
    print(f"{part}: {name} {list(reference.shape)}, standard deviation {reference.std():.3f}, "
          f"{(reference.abs() >= 1).float().mean():.1%} at or beyond 1; "
          f"error of bf16 {relative_error(reduced, reference):.3e}", flush=True)
    tensors = {**inputs, f"{name}_f32": reference, f"{name}_bf16": reduced}
    save_file({key: t.float().cpu().contiguous() for key, t in tensors.items()}, f"{folder}/check.safetensors")


def check_transformer(part, sizes, folder):
    model = make(WanTransformer3DModel, TRANSFORMERS[sizes])
    save(model, f"{folder}/transformer")
    config = model.config
    latents = torch.randn(config.in_channels, *CHECK_LATENTS[sizes], device=DEVICE).bfloat16()
    embeds = torch.zeros(TEXT_ROWS, config.text_dim, device=DEVICE, dtype=torch.bfloat16)
    embeds[:REAL_ROWS] = torch.randn(REAL_ROWS, config.text_dim, device=DEVICE)
    timestep = torch.tensor([TIMESTEP], device=DEVICE)

    def velocity(dtype):
        return model(latents[None].to(dtype), timestep, embeds[None].to(dtype), return_dict=False)[0][0].float()

    with exact_attention():
        reference = velocity(torch.float32)
    reduce(model)
    reduced = velocity(torch.bfloat16)
    inputs = {"latents": latents, "timestep": timestep, "embeds": embeds[:REAL_ROWS]}
    write_check(part, folder, inputs, "velocity", reference, reduced)


def vae_config(sizes):
    """With latent statistics, random ones, as config.json of a trained model has them."""
    generator = torch.Generator().manual_seed(SEED)
    channels = VAES[sizes]["z_dim"]
    mean = torch.randn(channels, generator=generator) * 0.3
    std = 0.5 + 2 * torch.rand(channels, generator=generator)
    return {**VAES[sizes], "latents_mean": mean.tolist(), "latents_std": std.tolist()}


def check_vae(part, sizes, folder):
    model = make(AutoencoderKLWan, vae_config(sizes))
    save(model, f"{folder}/vae")
    side = CHECK_SIDE[sizes] // model.config.scale_factor_spatial
    z = torch.randn(model.config.z_dim, 5, side, side, device=DEVICE).bfloat16().float()
    per_channel = {"device": DEVICE, "dtype": torch.float32}
    mean = torch.tensor(model.config.latents_mean, **per_channel).view(-1, 1, 1, 1)
    std = torch.tensor(model.config.latents_std, **per_channel).view(-1, 1, 1, 1)
    scaled = z * std + mean  # rounded once for bf16; the pipeline, which does this in bf16, rounds more often

    def video(dtype):
        return model.decode(scaled[None].to(dtype), return_dict=False)[0][0].permute(1, 2, 3, 0).float()

    with exact_attention():
        reference = video(torch.float32)
    reduce(model)
    write_check(part, folder, {"z": z}, "video", reference, video(torch.bfloat16))


def seconds_of(work, warm_up, repeat):
    """Median and least seconds of `work`, by CUDA events, and the most memory in use, in GB."""
    if DEVICE == "cpu":
        seconds = []
        for _ in range(warm_up + repeat):
            start = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - start)
        return statistics.median(seconds[warm_up:]), min(seconds[warm_up:]), 0.0
    for _ in range(warm_up):
        work()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    seconds = []
    for _ in range(repeat):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        seconds.append(begin.elapsed_time(end) / 1000)
    return statistics.median(seconds), min(seconds), torch.cuda.max_memory_allocated() / 1e9


def time_transformer(sizes, shape, by_token):
    model = reduce(make(WanTransformer3DModel, TRANSFORMERS[sizes]))
    model.compile_repeated_blocks(fullgraph=True)
    bf16 = {"device": DEVICE, "dtype": torch.bfloat16}
    latents = torch.randn(1, model.config.in_channels, *shape, **bf16)
    embeds = torch.randn(1, TEXT_ROWS, model.config.text_dim, **bf16)
    frames, rows, columns = shape
    tokens = frames * (rows // 2) * (columns // 2)
    timestep = torch.full((1, tokens) if by_token else (1,), TIMESTEP, device=DEVICE)
    attention = sdpa_kernel([SDPBackend.CUDNN_ATTENTION]) if DEVICE == "cuda" else contextlib.nullcontext()
    with attention:
        result = seconds_of(lambda: model(latents, timestep, embeds, return_dict=False), 3, 7)
    return f"forward, {tokens} tokens, compiled", result


def time_vae(sizes, shape):
    model = reduce(make(AutoencoderKLWan, vae_config(sizes)))
    z = torch.randn(1, model.config.z_dim, *shape, device=DEVICE, dtype=torch.bfloat16)
    return f"decode, latents {list(shape)}", seconds_of(lambda: model.decode(z, return_dict=False), 1, 3)


def time_umt5():
    from transformers import UMT5Config, UMT5EncoderModel
    config = UMT5Config(vocab_size=256384, d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64,
                        feed_forward_proj="gated-gelu")
    torch.manual_seed(SEED)
    with torch.device(DEVICE):
        model = UMT5EncoderModel(config).eval().requires_grad_(False).bfloat16()
    ids = torch.randint(config.vocab_size, (1, TEXT_ROWS), device=DEVICE)
    mask = torch.ones_like(ids)
    return f"text, {TEXT_ROWS} tokens", seconds_of(lambda: model(input_ids=ids, attention_mask=mask), 3, 7)


def time_part(part):
    sizes, shape, by_token = TIMES[part]
    if part == "time-umt5":
        return time_umt5()
    return time_vae(sizes, shape) if by_token is None else time_transformer(sizes, shape, by_token)


def run_checks(parts, out):
    for part in parts:
        kind, sizes = part.split("-", 1)
        start = time.perf_counter()
        (check_transformer if kind == "transformer" else check_vae)(part, sizes, f"{out}/{part}")
        print(f"{part}: {time.perf_counter() - start:.1f} s", flush=True)
        if DEVICE == "cuda":
            torch.cuda.empty_cache()


def run_times(parts, json_file):
    rows, lines = [], ["| part | diffusers, bf16 | s, median | s, least | peak GB |", "|---|---|---|---|---|"]
    for part in parts:
        what, (median, least, memory) = time_part(part)
        lines.append(f"| {part} | {what} | {median:.4g} | {least:.4g} | {memory:.2f} |")
        rows.append({"part": part, "what": what, "seconds": median, "least_seconds": least, "peak_gb": memory})
        print(lines[-1], flush=True)
        torch.compiler.reset()
        if DEVICE == "cuda":
            torch.cuda.empty_cache()
    device = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU"
    print(f"\n{device}, torch {torch.__version__}, cuDNN {torch.backends.cudnn.version()}")
    print("\n".join(lines))
    if json_file:
        context = {"device": device, "torch": torch.__version__, "cudnn": torch.backends.cudnn.version(),
                   "date": time.strftime("%Y-%m-%d"), "parts": ",".join(parts)}
        with open(json_file, "w", encoding="utf-8") as file:
            json.dump({"context": context, "rows": rows}, file, indent=1)


def known_parts():
    return [f"transformer-{s}" for s in TRANSFORMERS] + [f"vae-{s}" for s in VAES] + list(TIMES)


@torch.no_grad()
def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="folder for models and check files")
    parser.add_argument("--parts", help="comma-separated; default: those marked *, with --time: also those marked +")
    parser.add_argument("--time", action="store_true", help="also time diffusers itself (parts marked +)")
    parser.add_argument("--json", help="also write diffusers' times to this file")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",") if arguments.parts else list(CHECK_PARTS)
    parts += [p for p in TIME_PARTS if arguments.time and p not in parts]
    unknown = [p for p in parts if p not in known_parts()]
    if unknown:
        parser.error(f"no such part: {', '.join(unknown)}; known: {', '.join(known_parts())}")
    # "float32" by default means TF32 in cuDNN's convolutions.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    run_checks([p for p in parts if not p.startswith("time-")], arguments.out)
    times = [p for p in parts if p.startswith("time-")]
    if times:
        run_times(times, arguments.json)


if __name__ == "__main__":
    main()
