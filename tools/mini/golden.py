"""Writes the reference results of a model folder for the golden ladder, computed by diffusers in float32 on the CPU.

usage: golden.py MODEL OUT
"""

import html
import json
import os
import re
import sys

import sentencepiece
import torch
from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler, WanTransformer3DModel
from safetensors.torch import save_file
from transformers import UMT5EncoderModel

PROMPTS = ["a rocket moves up on the night sky", "一只企鹅向右移动，雪地", "  a pizza\n spins on a\tred background ",
           "a panda bounces and a cactus grows on blue stripes", "fish &amp; chips", ""]
NEGATIVE = ""
STEPS, GUIDANCE, SHIFT, SEED = 20, 3.0, 3.0, 21
FRAMES, HEIGHT, WIDTH = 9, 64, 64


def clean(text):
    return re.sub(r"\s+", " ", html.unescape(html.unescape(text))).strip()


@torch.no_grad()
def main(model, out):
    torch.set_num_threads(2)
    tokens = sentencepiece.SentencePieceProcessor(model_file=f"{model}/tokenizer/spiece.model")
    text = UMT5EncoderModel.from_pretrained(f"{model}/text_encoder", dtype=torch.float32).eval()
    net = WanTransformer3DModel.from_pretrained(f"{model}/transformer", torch_dtype=torch.float32).eval()
    vae = AutoencoderKLWan.from_pretrained(f"{model}/vae", torch_dtype=torch.float32).eval()
    ids = [tokens.encode(clean(p)) + [1] for p in PROMPTS + [NEGATIVE]]
    rows = []
    for i in ids:
        full = torch.zeros(1, 512, text.config.d_model)
        full[:, : len(i)] = text(input_ids=torch.tensor([i]), attention_mask=torch.ones(1, len(i))).last_hidden_state
        rows.append(full)
    result = {"prompt_embeds": rows[0][:, :96], "negative_embeds": rows[-1][:, :96]}
    result.update({f"prompt_embeds.{i}": rows[i][:, :48] for i in range(1, len(PROMPTS))})
    shape = (1, 16, (FRAMES - 1) // 4 + 1, HEIGHT // 8, WIDTH // 8)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(SEED))
    result["noise"] = noise

    def velocity(x, t, row):
        return net(x, torch.tensor([t], dtype=torch.float32), row, return_dict=False)[0]

    for t in (999, 431.5):
        result[f"velocity.t{t}"] = velocity(noise, t, rows[0])
    solvers = {
        "unipc": UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT),
        "euler": FlowMatchEulerDiscreteScheduler(shift=SHIFT),
    }
    for name, solver in solvers.items():
        solver.set_timesteps(STEPS)
        result[f"{name}.timesteps"], result[f"{name}.sigmas"] = solver.timesteps.float(), solver.sigmas.float()
        x, steps = noise, []
        for t in solver.timesteps:
            yes, no = velocity(x, float(t), rows[0]), velocity(x, float(t), rows[-1])
            x = solver.step(no + GUIDANCE * (yes - no), t, x, return_dict=False)[0]
            steps.append(x[0])
        result[f"{name}.latents_per_step"] = torch.stack(steps)
    channels = (1, 16, 1, 1, 1)
    mean, std = (torch.tensor(v).reshape(channels) for v in (vae.config.latents_mean, vae.config.latents_std))
    last = result["unipc.latents_per_step"][-1:]
    video = vae.decode(last * std + mean).sample.clamp(-1, 1)
    result["video"] = video
    result["video_u8"] = ((video[0] / 2 + 0.5).clamp(0, 1) * 255).round().byte().transpose(0, 1)
    result["encode.input"] = video.clone()
    posterior = vae.encode(video).latent_dist
    result["encode.mean"], result["encode.logvar"] = posterior.mean, posterior.logvar
    os.makedirs(out, exist_ok=True)
    save_file({k: v.contiguous() for k, v in result.items()}, f"{out}/golden.safetensors")
    job = {"model": os.path.relpath(model, out), "prompts": PROMPTS, "cleaned": [clean(p) for p in PROMPTS],
           "negative_prompt": NEGATIVE, "frames": FRAMES, "height": HEIGHT, "width": WIDTH, "steps": STEPS,
           "guidance_scale": GUIDANCE, "guidance_scale_2": None, "flow_shift": SHIFT, "boundary_ratio": None,
           "expand_timesteps": False, "max_sequence_length": 512, "noise_seed": SEED, "token_ids": ids}
    with open(f"{out}/golden.json", "w", encoding="utf-8") as f:
        json.dump(job, f, ensure_ascii=False, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
