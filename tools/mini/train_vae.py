"""Trains the video autoencoder on clips drawn on the fly; WORK/vae/ comes out in diffusers' layout, bfloat16.

usage: train_vae.py WORK SECONDS FROM TO BATCH FRAMES [decoder]
FROM and TO say which part of the learning-rate schedule (0 to 1) this call covers; each call goes on from WORK/vae. A step
sees BATCH stretches of FRAMES frames (1, 5, 9, 13 or 17), each of a clip of its own: more clips a second that way.
With `decoder` the encoder stays as it is, for the transformer has been trained on its latents: a last polish, mostly on
the reconstruction's PSNR itself and at a lower rate. The result is then WORK/vae_tuned.
"""

import json
import math
import os
import sys
import time

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan

import captions
from clips import FRAMES, SIDE, Stage, generator_for, load_names
from muon import Muon
from replay import Average, replayed
from whole_clip_vae import WholeClip, check, new_vae

ADAM_RATE, MUON_RATE = 1e-3, 3e-3
POLISH_RATE = 0.5  # of both
KL_WEIGHT = 3e-4


def gradients(x):
    """Differences between neighbouring pixels, stacked: what makes edges sharp."""
    return F.pad(x[..., 1:] - x[..., :-1], (0, 1)), F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))


def loss_of(video, clips, share):
    """share: of each clip's PSNR, which makes clips count alike whatever their detail; the rest keeps edges sharp."""
    d = video - clips
    gx, gy = gradients(d)
    half = F.avg_pool2d(d.flatten(0, 1), 2)
    sharp = d.abs().mean() + d.square().mean() + 0.5 * (gx.abs().mean() + gy.abs().mean()) + 0.5 * half.abs().mean()
    return sharp + share * torch.log(d.square().flatten(1).mean(1) + 1e-6).mean()


def psnr(video, clips):
    error = (video.clamp(-1, 1) - clips).square().flatten(1).mean(1) / 4
    return -10 * torch.log10(error).mean().item()


@torch.no_grad()
def measure(vae, stage, names, device, count=192):
    """Per-channel mean and deviation of the latents, and the reconstruction's PSNR on held-out scenes."""
    whole = WholeClip(vae)
    generator, rng = generator_for(99, device)
    means, scores = [], []
    for _ in range(count // 16):
        scenes = [captions.draw_scene(len(names), rng) for _ in range(16)]
        clips, _ = stage.draw(scenes, generator)
        means.append(whole.encode(clips)[0].float())
        held = [captions.draw_held_out(len(names), rng) for _ in range(16)]
        clips, _ = stage.draw(held, generator)
        scores.append(psnr(whole.decode(whole.encode(clips)[0]), clips))
    z = torch.cat(means).transpose(0, 1).flatten(1)
    return z.mean(1).tolist(), z.std(1).tolist(), sum(scores) / len(scores)


def main(work, seconds, start, end, batch, frames, part="all"):
    began = time.time()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    names, stage = load_names(work), Stage(work, device)
    torch.manual_seed(0)
    vae = new_vae().to(device)
    tuned = part == "decoder"
    peak, share, two = (POLISH_RATE, 1.0, 0.2) if tuned else (1.0, 0.5, 0.3)
    out = f"{work}/vae_tuned" if tuned else f"{work}/vae"
    source = out if os.path.exists(out) else f"{work}/vae"
    if not os.path.exists(source):
        check()
    else:
        vae.load_state_dict(AutoencoderKLWan.from_pretrained(source).state_dict())
        print("goes on from", source)
    whole = WholeClip(vae)
    if tuned:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    parameters = [p for p in vae.parameters() if p.requires_grad]
    matrices = [p for n, p in vae.named_parameters() if p.requires_grad and p.ndim > 3 and "conv_out" not in n and "gamma" not in n]
    chosen = {id(p) for p in matrices}
    others = [p for p in parameters if id(p) not in chosen]
    muon_rate, adam_rate = torch.zeros((), device=device), torch.zeros((), device=device)
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, lr=adam_rate, betas=(0.9, 0.98), weight_decay=0.0, fused=device == "cuda",
                             capturable=device == "cuda")
    average = Average(parameters)
    clips = torch.zeros(batch, frames, 3, SIDE, SIDE, device=device)

    def step_on_clips():
        # a cast kept from the captured step would be stale in the next
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            with torch.set_grad_enabled(not tuned):
                mean, logvar = whole.encode(clips)
            mean, logvar = mean.float(), logvar.float().clamp(-20, 10)
            z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
            video = whole.decode(z)
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        loss = loss_of(video.float(), clips, share) + KL_WEIGHT * kl
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        muon.step(muon_rate)
        adam.step()
        for p in parameters:
            p.grad = None
        average.update()
        return loss.detach(), kl.detach(), video.detach()

    generator, rng = generator_for(int(began), device)
    replay = replayed(step_on_clips, device)
    print(f"VAE {time.time() - began:6.1f} s  starts", flush=True)
    step, spoken = 0, time.time()
    while (done := (time.time() - began) / seconds) < 1:
        rate = peak * 0.5 * (1 + math.cos(math.pi * (start + (end - start) * done))) * min(1, (step + 1) / 100)
        muon_rate.fill_(MUON_RATE * rate)
        adam_rate.fill_(ADAM_RATE * rate)
        average.keep.fill_(min(0.998, step / (step + 10)))
        scenes = [captions.draw_scene(len(names), rng, two=two) for _ in range(batch)]
        with torch.no_grad():
            first = rng.randint(0, FRAMES - frames)
            clips.copy_(stage.draw(scenes, generator)[0][:, first:first + frames])
        loss, kl, video = replay()
        step += 1
        if time.time() - spoken > 25:
            spoken = time.time()
            memory = torch.cuda.max_memory_allocated() / 2**30 if device == "cuda" else 0
            print(f"VAE {time.time() - began:6.1f} s  step {step}  loss {loss.item():.4f}  kl {kl.item():.2f}  "
                  f"psnr {psnr(video.float(), clips):.2f}  {memory:.1f} GiB", flush=True)
            if not math.isfinite(loss.item()):
                raise SystemExit(f"train_vae.py: the loss is {loss.item()} at step {step}")
        if device == "cuda" and step % 4 == 0:
            torch.cuda.current_stream().synchronize()  # no more steps under way than the clock can stop
    for p, a in zip(parameters, average.values):
        # what is stored is bfloat16: measure and use exactly that
        p.data.copy_(a.bfloat16().float())
    vae.eval()
    mean, std, score = measure(vae, stage, names, device, 192 if device == "cuda" else 16)
    vae.register_to_config(latents_mean=mean, latents_std=std)
    vae.to(torch.bfloat16).save_pretrained(out)
    with open(f"{out}_scores.json", "w") as f:
        json.dump({"psnr_held_out_db": score, "steps": step, "batch": batch, "frames": frames, "seconds": seconds}, f)
    print(f"VAE {step} steps, held-out reconstruction {score:.2f} dB; latent std {min(std):.2f} .. {max(std):.2f}")


if __name__ == "__main__":
    main(sys.argv[1], *map(float, sys.argv[2:5]), *map(int, sys.argv[5:7]), *sys.argv[7:])
