#!/usr/bin/env python3
"""Writes a complete model folder of the true sizes with random weights, for timing `weft render` where the
published weights are not at hand (a GPU machine without a network). Nothing it draws means anything.

  random_model.py OUT --size 1.3b        # 15 GB: UMT5-XXL, the 1.3B transformer, the 2.1 autoencoder, all bf16

The tokenizer is that of models/weft-mini: its ids are a part of the large vocabulary.
"""

import argparse
import json
import os
import shutil
import sys

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from safetensors.torch import save_file
from transformers import UMT5Config, UMT5EncoderModel

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import diffusers_reference as reference  # noqa: E402

MINI = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../models/weft-mini")
SIZES = {"1.3b": ("1.3b", "2.1"), "5b": ("5b", "2.2"), "14b": ("14b", "2.1")}


def text_encoder(folder, width):
    config = UMT5Config(vocab_size=256384, d_model=width, d_kv=64, d_ff=width * 5 // 2, num_heads=width // 64,
                        num_layers=24 if width == 4096 else 2, feed_forward_proj="gated-gelu")
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(reference.DEVICE):
        model = UMT5EncoderModel(config)
    torch.set_default_dtype(torch.float32)
    os.makedirs(folder, exist_ok=True)
    config.architectures = ["UMT5EncoderModel"]
    config.save_pretrained(folder)
    save_file({name: p.cpu().contiguous() for name, p in model.named_parameters()}, f"{folder}/model.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--size", choices=SIZES, default="1.3b")
    arguments = parser.parse_args()
    net, vae = SIZES[arguments.size]
    out = arguments.out
    os.makedirs(out, exist_ok=True)
    for part in ("tokenizer", "scheduler"):
        shutil.copytree(f"{MINI}/{part}", f"{out}/{part}", dirs_exist_ok=True)
    with open(f"{MINI}/model_index.json", encoding="utf-8") as file:
        index = json.load(file)
    del index["weft_native_size"]
    index["expand_timesteps"] = arguments.size == "5b"
    with open(f"{out}/model_index.json", "w", encoding="utf-8") as file:
        json.dump(index, file, indent=2)
    transformer = reference.TRANSFORMERS[net]
    reference.save(reference.make(WanTransformer3DModel, transformer), f"{out}/transformer")
    z_dim = reference.VAES[vae]["z_dim"]
    statistics = {} if z_dim == 16 else {"latents_mean": [0.0] * z_dim, "latents_std": [1.0] * z_dim}
    reference.save(reference.make(AutoencoderKLWan, {**reference.VAES[vae], **statistics}), f"{out}/vae")
    text_encoder(f"{out}/text_encoder", transformer.get("text_dim", 4096))


if __name__ == "__main__":
    main()
