"""Puts the trained parts together as one model folder. usage: export.py WORK FOLDER"""

import json
import os
import shutil
import sys

from diffusers import UniPCMultistepScheduler

INDEX = {
    "_class_name": "WanPipeline",
    "_diffusers_version": "0.42.1",
    "boundary_ratio": None,
    "expand_timesteps": False,
    "scheduler": ["diffusers", "UniPCMultistepScheduler"],
    "text_encoder": ["transformers", "UMT5EncoderModel"],
    "tokenizer": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "WanTransformer3DModel"],
    "transformer_2": [None, None],
    "vae": ["diffusers", "AutoencoderKLWan"],
    "weft_native_size": [128, 128, 17],
}


def main(work, folder):
    tuned = f"{work}/vae_tuned"
    parts = {"vae": tuned if os.path.exists(tuned) else f"{work}/vae"}
    parts.update({part: f"{work}/{part}" for part in ("transformer", "text_encoder", "tokenizer")})
    for part, source in parts.items():
        shutil.copytree(source, f"{folder}/{part}", dirs_exist_ok=True)
    vae = f"{folder}/vae/config.json"
    with open(vae, encoding="utf-8") as f:
        config = json.load(f)
    with open(f"{work}/vae/config.json", encoding="utf-8") as f:
        # the transformer was trained on latents scaled by these
        trained = json.load(f)
    config.update({k: trained[k] for k in ("latents_mean", "latents_std")})
    with open(vae, "w", encoding="utf-8") as f:
        json.dump(config, f, indent=2)
        f.write("\n")
    for path in (vae, f"{folder}/transformer/config.json"):
        with open(path, encoding="utf-8") as f:
            config = json.load(f)
        config.pop("_name_or_path", None)
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f, indent=2)
            f.write("\n")
    UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True,
                            flow_shift=3.0).save_pretrained(f"{folder}/scheduler")
    with open(f"{folder}/model_index.json", "w", encoding="utf-8") as f:
        json.dump(INDEX, f, indent=2)
        f.write("\n")
    for root, _, files in os.walk(folder):
        for name in files:
            os.chmod(os.path.join(root, name), 0o644)


if __name__ == "__main__":
    main(*sys.argv[1:])
