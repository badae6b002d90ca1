"""Trains the video autoencoder on clips drawn on the fly; WORK/vae/ comes out in diffusers' layout, bfloat16.

usage: train_vae.py WORK SECONDS [BATCH]
"""

import json
import sys
import time

import torch
import torch.nn.functional as F

import captions
from clips import Stage, generator_for, load_names
from whole_clip_vae import WholeClip, check, new_vae

LEARNING_RATE = 2e-3
KL_WEIGHT = 1e-4


def gradients(x):
    """Differences between neighbouring pixels, stacked: what makes edges sharp."""
    return F.pad(x[..., 1:] - x[..., :-1], (0, 1)), F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))


def loss_of(video, clips):
    d = video - clips
    gx, gy = gradients(d)
    half = F.avg_pool2d(d.flatten(0, 1), 2)
    return d.abs().mean() + d.square().mean() + 0.5 * (gx.abs().mean() + gy.abs().mean()) + 0.5 * half.abs().mean()


def psnr(video, clips):
    error = (video.clamp(-1, 1) - clips).square().flatten(1).mean(1) / 4
    return -10 * torch.log10(error).mean().item()


@torch.no_grad()
def measure(vae, stage, names, device, count=256):
    """Per-channel mean and deviation of the latents, and the reconstruction's PSNR on held-out scenes."""
    whole = WholeClip(vae)
    generator, rng = generator_for(99, device)
    means, scores = [], []
    for _ in range(count // 32):
        scenes = [captions.draw_scene(len(names), rng) for _ in range(32)]
        clips, _ = stage.draw(scenes, generator)
        means.append(whole.encode(clips)[0].float())
        held = [captions.draw_held_out(len(names), rng) for _ in range(32)]
        clips, _ = stage.draw(held, generator)
        scores.append(psnr(whole.decode(whole.encode(clips)[0]), clips))
    z = torch.cat(means).transpose(0, 1).flatten(1)
    return z.mean(1).tolist(), z.std(1).tolist(), sum(scores) / len(scores)


def main(work, seconds, batch=32):
    began = time.time()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    check()
    names, stage = load_names(work), Stage(work, device)
    torch.manual_seed(0)
    vae = new_vae().to(device)
    whole = WholeClip(vae, compiled=device == "cuda")
    parameters = list(vae.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=1e-4, fused=device == "cuda")
    average = [p.detach().clone() for p in parameters]
    generator, rng = generator_for(5, device)
    step, spoken = 0, 0.0
    while (done := (time.time() - began) / seconds) < 1:
        rate = LEARNING_RATE * min(1, (step + 1) / 100) * max(0.0, 0.5 * (1 + torch.cos(torch.tensor(done * 3.14159)).item()))
        for group in optimizer.param_groups:
            group["lr"] = rate
        scenes = [captions.draw_scene(len(names), rng, two=0.5) for _ in range(batch)]
        with torch.no_grad():
            clips, _ = stage.draw(scenes, generator)
        with torch.autocast(device, torch.bfloat16):
            mean, logvar = whole.encode(clips.contiguous())
            mean, logvar = mean.float(), logvar.float().clamp(-20, 10)
            z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
            video = whole.decode(z)
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        loss = loss_of(video.float(), clips) + KL_WEIGHT * kl
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - min(0.998, step / (step + 10)))
        step += 1
        if time.time() - spoken > 15:
            spoken = time.time()
            memory = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0
            print(f"{time.time() - began:6.1f} s  step {step}  loss {loss.item():.4f}  kl {kl.item():.2f}  "
                  f"psnr {psnr(video.detach().float(), clips):.2f}  {memory:.1f} GiB", flush=True)
    for p, a in zip(parameters, average):
        # what is stored is bfloat16: measure and use exactly that
        p.data.copy_(a.bfloat16().float())
    vae.eval()
    mean, std, score = measure(vae, stage, names, device)
    vae.register_to_config(latents_mean=mean, latents_std=std)
    vae.to(torch.bfloat16).save_pretrained(f"{work}/vae")
    with open(f"{work}/vae_scores.json", "w") as f:
        json.dump({"psnr_held_out_db": score, "steps": step, "batch": batch, "seconds": seconds}, f)
    print(f"{step} steps, held-out reconstruction {score:.2f} dB; latent std {min(std):.2f} .. {max(std):.2f}")


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), *map(int, sys.argv[3:]))
