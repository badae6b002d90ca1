"""Scores a model folder on held-out combinations of thing, motion and background.

usage: score.py WORK detector [SECONDS]  trains the measuring network on drawn clips -> WORK/detector.pt
       score.py WORK MODEL [COUNT [GUIDANCE...]]     -> WORK/scores.json and WORK/samples.png

COUNT prompts a row (200), each row once per guidance scale: 3, which is what the model is used with, and 5, the usual one.
The picture shows the first scale's clips.

The detector is a small convolutional network that names the glyph in one frame and says where it is. It learns from
drawn frames only (blurred and noisy ones among them) and never sees a generated clip. A clip's glyph is the one with
the largest log-probability summed over its frames; its direction is the larger axis of the way from the first three
frames' mean position to the last three's.
"""

import json
import math
import random
import sys
import time

import sentencepiece
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanTransformer3DModel
from PIL import Image
from torch import nn
from transformers import UMT5EncoderModel

import captions
from clips import Stage, generator_for, load_names
from train_vae import measure
from train_wan import ROWS, MergedPads, encode_text
from whole_clip_vae import WholeClip

STEPS, GUIDANCE = 25, (3.0, 5.0)


class Detector(nn.Module):
    def __init__(self, glyphs):
        super().__init__()
        widths, layers = [3, 32, 64, 128, 256], []
        for a, b in zip(widths, widths[1:]):
            layers += [nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU(), nn.Conv2d(b, b, 3, 1, 1), nn.BatchNorm2d(b), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * 16, 512), nn.ReLU())
        self.glyph, self.place = nn.Linear(512, glyphs), nn.Linear(512, 2)

    def forward(self, frames):
        """[N, 3, 128, 128] -> glyph logits [N, G], centre [N, 2]."""
        x = self.body(F.avg_pool2d(frames, 2))
        return self.glyph(x), self.place(x)


def train_detector(work, device, seconds=75):
    began = time.time()
    names, stage = load_names(work), Stage(work, device)
    generator, rng = generator_for(11, device)
    torch.manual_seed(2)
    net = Detector(len(names)).to(device).train()
    adam = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-3)
    step = 0
    while (done := (time.time() - began) / seconds) < 1:
        for group in adam.param_groups:
            group["lr"] = 2e-3 * min(1, (step + 1) / 100) * 0.5 * (1 + math.cos(math.pi * done))
        scenes = [captions.draw_scene(len(names), rng, two=0) for _ in range(64)]
        with torch.no_grad():
            clips, centres = stage.draw(scenes, generator)
            pick = torch.randint(clips.shape[1], (64, 4), device=device)
            row = torch.arange(64, device=device)[:, None]
            frames, places = clips[row, pick].flatten(0, 1), centres[row, pick].flatten(0, 1)
            soft = F.avg_pool2d(F.pad(frames, (2, 2, 2, 2), mode="replicate"), 5, 1)
            mix = torch.rand(len(frames), 1, 1, 1, device=device)
            frames = frames.lerp(soft, mix) + 0.1 * torch.rand_like(mix) * torch.randn_like(frames)
        truth = torch.tensor([s[0][0][0] for s in scenes], device=device).repeat_interleave(4)
        with torch.autocast(device, torch.bfloat16):
            logits, at = net(frames)
        loss = F.cross_entropy(logits.float(), truth) + 2 * (at.float() - places).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        step += 1
    torch.save(net.state_dict(), f"{work}/detector.pt")
    print(f"detector: {step} steps, last loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def look(net, clips):
    """[B, F, 3, H, W] -> glyph [B], way of the centre [B, 2]."""
    logits, at = net(clips.flatten(0, 1))
    logits = torch.log_softmax(logits, -1).unflatten(0, clips.shape[:2]).sum(1)
    at = at.unflatten(0, clips.shape[:2])
    return logits.argmax(-1), at[:, -3:].mean(1) - at[:, :3].mean(1)


def judge(net, clips, scenes):
    """Shares of clips whose glyph is right, and of directional ones whose direction is."""
    found, way = [torch.cat(p).cpu() for p in zip(*(look(net, c) for c in clips.split(32)))]
    right = [g.item() == s[0][0][0] for g, s in zip(found, scenes)]
    moves = []
    for w, s in zip(way.tolist(), scenes):
        wanted = captions.DIRECTIONS.get(captions.MOTION_KEYS[s[0][0][1]])
        if wanted:
            axis = 0 if abs(w[0]) > abs(w[1]) else 1
            seen = tuple((1 if w[axis] > 0 else -1) if i == axis else 0 for i in (0, 1))
            moves.append(seen == wanted)
    return sum(right) / len(right), sum(moves) / max(1, len(moves)), len(moves)


class Model:
    def __init__(self, folder, device):
        self.device = device
        self.tokens = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/tokenizer/spiece.model")
        self.text = UMT5EncoderModel.from_pretrained(f"{folder}/text_encoder", dtype=torch.float32).to(device).eval()
        self.net = WanTransformer3DModel.from_pretrained(f"{folder}/transformer", torch_dtype=torch.float32).to(device).eval()
        for block in self.net.blocks:
            block.attn1.processor = block.attn2.processor = MergedPads()
        self.vae = AutoencoderKLWan.from_pretrained(f"{folder}/vae", torch_dtype=torch.float32).to(device).eval()
        self.folder = folder

    def rows(self, prompts):
        ids = [self.tokens.encode(p)[: ROWS - 1] + [1] for p in prompts]
        return encode_text(self.text, torch.tensor([r + [0] * (ROWS - len(r)) for r in ids], device=self.device))

    @torch.no_grad()
    def sample(self, prompts, seed, guidance):
        clips = []
        generator = torch.Generator().manual_seed(seed)
        for at in range(0, len(prompts), 100):
            part = prompts[at:at + 100]
            rows, empty = self.rows(part), self.rows([""] * len(part))
            solver = UniPCMultistepScheduler.from_pretrained(f"{self.folder}/scheduler")
            solver.set_timesteps(STEPS, device=self.device)
            z = torch.randn(len(part), 16, 5, 16, 16, generator=generator).to(self.device)
            for t in solver.timesteps:
                with torch.autocast(self.device, torch.bfloat16):
                    when = t.expand(len(part))
                    yes = self.net(z, when, rows, return_dict=False)[0].float()
                    no = self.net(z, when, empty, return_dict=False)[0].float()
                z = solver.step(no + guidance * (yes - no), t, z, return_dict=False)[0]
            shape = (1, 16, 1, 1, 1)
            mean = torch.tensor(self.vae.config.latents_mean, device=self.device).reshape(shape)
            std = torch.tensor(self.vae.config.latents_std, device=self.device).reshape(shape)
            clips += [WholeClip(self.vae).decode(p * std + mean).clamp(-1, 1) for p in z.split(20)]
        return torch.cat(clips)


def main(work, folder, device, count=200, scales=GUIDANCE):
    names = load_names(work)
    net = Detector(len(names)).to(device).eval()
    net.load_state_dict(torch.load(f"{work}/detector.pt", map_location=device))
    model, stage = Model(folder, device), Stage(work, device)
    generator, rng = generator_for(2024, device)
    scores = {"steps": STEPS, "prompts_each": count}
    scores["psnr_db"] = measure(model.vae, stage, names, device, 192 if device == "cuda" else 16)[2]
    any_scene = [captions.draw_held_out(len(names), rng) for _ in range(count)]
    directed = [captions.draw_held_out(len(names), rng, list(captions.DIRECTIONS)) for _ in range(count)]
    drawn = torch.cat([stage.draw(any_scene[i:i + 20], generator)[0] for i in range(0, count, 20)])
    scores["detector_on_drawn_clips"] = judge(net, drawn, any_scene)[0]
    drawn = torch.cat([stage.draw(directed[i:i + 20], generator)[0] for i in range(0, count, 20)])
    scores["detector_direction_on_drawn_clips"] = judge(net, drawn, directed)[1]
    sheets = []
    for label, write, scenes in (("english", captions.english, any_scene), ("chinese", captions.chinese, any_scene),
                                 ("english_directed", captions.english, directed),
                                 ("chinese_directed", captions.chinese, directed)):
        prompts = [write(names, *s, rng) for s in scenes]
        print(label, prompts[:12])
        for guidance in scales:
            clips = model.sample(prompts, seed=1, guidance=guidance)
            thing, direction, moving = judge(net, clips, scenes)
            row = {"thing": thing, "direction": direction, "directed_clips": moving}
            scores.setdefault(f"guidance {guidance:g}", {})[label] = row
            print("guidance", guidance, row, flush=True)
            if guidance == scales[0]:
                sheets.append(torch.cat([torch.cat(list(clips[i, [0, 4, 8, 12, 16]]), 2) for i in range(min(12, count))], 1))
    picture = ((torch.cat(sheets, 2) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
    Image.fromarray(picture).save(f"{work}/samples.png")
    with open(f"{work}/scores.json", "w", encoding="utf-8") as f:
        json.dump(scores, f, indent=1)
    print(json.dumps(scores, indent=1))


if __name__ == "__main__":
    random.seed(0)
    where = "cuda" if torch.cuda.is_available() else "cpu"
    if sys.argv[2] == "detector":
        train_detector(sys.argv[1], where, *map(float, sys.argv[3:]))
    else:
        main(sys.argv[1], sys.argv[2], where, *map(int, sys.argv[3:4]),
             scales=tuple(map(float, sys.argv[4:])) or GUIDANCE)
