"""Draws scenes as clips, batched, on any torch device: [B, F, 3, 128, 128] in [-1, 1]."""

import json
import math
import random

import numpy
import torch
import torch.nn.functional as F

from captions import BACKGROUNDS, COLOURS, COLOUR_KEYS, MOTION_KEYS, PATTERN_KEYS, SCENE_KEYS

SIDE, FRAMES = 128, 17
TAU = 2 * math.pi


def load_names(folder):
    with open(f"{folder}/names.json", encoding="utf-8") as f:
        return json.load(f)


class Stage:
    """The sprites and grids on one device, and the drawing of scenes with them."""

    def __init__(self, folder, device):
        rgba = torch.from_numpy(numpy.load(f"{folder}/glyphs.npz")["sprites"]).to(device).float().div_(255)
        rgb, alpha = rgba[..., :3], rgba[..., 3:]
        # premultiplied, so that edges stay clean under interpolation
        self.sprites = torch.cat([rgb * alpha, alpha], -1).permute(0, 3, 1, 2).contiguous()  # [G, 4, 80, 80]
        self.device = device
        axis = (torch.arange(SIDE, device=device) + 0.5) / SIDE * 2 - 1
        self.y, self.x = torch.meshgrid(axis, axis, indexing="ij")
        colours = torch.tensor([COLOURS[c][0] for c in COLOUR_KEYS], device=device)
        self.colours = colours
        self.kind = torch.tensor(
            [PATTERN_KEYS.index(k) if c else len(PATTERN_KEYS) + SCENE_KEYS.index(k) for k, c in BACKGROUNDS],
            device=device)
        self.colour = torch.tensor([COLOUR_KEYS.index(c) if c else 0 for _, c in BACKGROUNDS], device=device)
        g = torch.Generator().manual_seed(7)
        stars = torch.rand(60, 2, generator=g).to(device) * 2 - 1
        gap = (self.x[None] - stars[:, 0, None, None]) ** 2 + (self.y[None] - stars[:, 1, None, None]) ** 2
        self.stars = torch.exp(-gap.min(0).values / 0.00035)
        self.masks, self.scenes = self.patterns()

    def patterns(self):
        """What backgrounds are mixed from: masks [5, 128, 128] of the second tone, scenes [6, 3, 128, 128]."""
        x, y = self.x, self.y
        smooth = lambda d: torch.sigmoid(d * 25)  # noqa: E731  soft edges: no aliasing
        masks = torch.stack([
            torch.zeros_like(x),
            (y + 1) / 2,
            smooth(torch.sin((x + y) * TAU * 1.5) * 0.5),
            smooth(0.45 - torch.sqrt(torch.sin(x * TAU) ** 2 + torch.sin(y * TAU) ** 2 + 1e-6)),
            smooth(torch.sin(x * TAU) * torch.sin(y * TAU)),
        ])

        def mix(top, bottom, edge, width):
            w = torch.sigmoid((y - edge) / width)
            top, bottom = (torch.tensor(c, device=self.device)[:, None, None] for c in (top, bottom))
            return top * (1 - w) + bottom * w

        hill = 0.25 + 0.08 * torch.sin(x * 4)
        scenes = torch.stack([
            mix((0.55, 0.80, 0.98), (0.40, 0.72, 0.30), hill, 0.02),
            mix((0.75, 0.90, 0.98), (0.10, 0.42, 0.72), 0.0 * x - 0.1 + 0.02 * torch.sin(x * 30), 0.02),
            mix((0.04, 0.05, 0.16), (0.12, 0.14, 0.35), 0 * x, 0.5) + 0.8 * self.stars,
            mix((0.60, 0.82, 0.95), (0.90, 0.75, 0.48), 0.15 + 0.1 * torch.sin(x * 3 + 1), 0.02),
            mix((0.35, 0.20, 0.50), (0.99, 0.62, 0.25), 0.1 + 0 * x, 0.3),
            mix((0.68, 0.78, 0.88), (0.95, 0.97, 0.99), 0.2 + 0.06 * torch.sin(x * 5 + 2), 0.02),
        ])
        return masks, scenes

    def backgrounds(self, index):
        """index [B] -> [B, 3, 128, 128] in [0, 1]."""
        base = self.colours[self.colour[index]][:, :, None, None]  # [B, 3, 1, 1]
        dark = base.mean(1, keepdim=True) < 0.4
        # the second tone is lighter on dark colours and darker on light ones, so that every pattern shows
        tone = torch.where(dark, base + (1 - base) * 0.45, base * 0.72)
        kind = self.kind[index]
        mask = self.masks[kind.clamp(max=len(PATTERN_KEYS) - 1)][:, None]
        flat = base * (1 - mask) + tone * mask
        scene = self.scenes[(kind - len(PATTERN_KEYS)).clamp(min=0)]
        return torch.where((kind >= len(PATTERN_KEYS))[:, None, None, None], scene, flat).clamp(0, 1)

    def paths(self, motion, size, span, generator):
        """motion, size, span [B] (span: how far the centre may travel each way, as x of [-1, 1]) -> per frame
        [B, F]: centre offsets dx, dy, scale, angle, alpha."""
        b = motion.shape[0]
        t = torch.linspace(0, 1, FRAMES, device=self.device)[None].expand(b, -1)
        key = lambda name: (motion == MOTION_KEYS.index(name))[:, None].float()  # noqa: E731
        travel = (2 * t - 1) * span[:, None]
        turn = torch.rand(b, 1, device=self.device, generator=generator)
        dx = travel * (key("right") - key("left")) + key("circle") * 0.3 * torch.sin(TAU * t)
        dy = travel * (key("down") - key("up")) - key("circle") * 0.3 * torch.cos(TAU * t)
        dy = dy + key("bounce") * (0.25 - 0.6 * torch.sin(TAU * t).abs())
        dx = dx + key("shake") * 0.07 * torch.sin(TAU * 4 * t + turn * 0.5)
        scale = 1 + key("grow") * (-0.6 + 0.8 * t) + key("shrink") * (0.2 - 0.8 * t)
        angle = key("spin") * TAU * t + key("swing") * 0.5 * torch.sin(TAU * 1.5 * t)
        alpha = 1 - key("fade in") * (1 - t) - key("fade out") * t
        return dx, dy, scale, angle, alpha

    def draw(self, scenes, generator):
        """Clips [B, F, 3, 128, 128] in [-1, 1], and the first thing's centres [B, F, 2] as (x, y) of [-1, 1]."""
        b, dev = len(scenes), self.device
        table = torch.tensor([[bg, len(th), *th[0], *th[-1]] for th, bg in scenes])  # [B, 6]
        # from pinned memory, so that drawing does not wait for the work already queued on the GPU
        table = table.pin_memory().to(dev, non_blocking=True) if dev == "cuda" else table.to(dev)
        picture = self.backgrounds(table[:, 0])[:, None].expand(-1, FRAMES, -1, -1, -1)
        two = (table[:, 1] == 2).float()
        rand = lambda: torch.rand(b, device=dev, generator=generator) * 2 - 1  # noqa: E731
        centres = None
        for slot in (0, 1):
            size = torch.where(two > 0, 0.375 + 0.045 * rand(), 0.46 + 0.06 * rand())  # of the picture's side
            span = torch.where(two > 0, 0.3 + 0.03 * rand(), 0.50 + 0.04 * rand())
            dx, dy, scale, angle, alpha = self.paths(table[:, 3 + 2 * slot], size, span, generator)
            dx = dx * torch.where(two > 0, 0.6, 1.0)[:, None]
            home = torch.where(two > 0, torch.full_like(two, -0.5 if slot == 0 else 0.5), torch.zeros_like(two))
            cx = dx + (home + 0.05 * rand())[:, None]
            cy = dy + (0.06 * rand())[:, None]
            s = size[:, None] * scale
            u, v = self.x[None, None] - cx[..., None, None], self.y[None, None] - cy[..., None, None]
            cos, sin = (torch.cos(angle) / s)[..., None, None], (torch.sin(angle) / s)[..., None, None]
            grid = torch.stack([cos * u + sin * v, cos * v - sin * u], -1)  # [B, F, H, W, 2]
            sheet = self.sprites[table[:, 2 + 2 * slot]][:, None].expand(-1, FRAMES, -1, -1, -1)
            drawn = F.grid_sample(sheet.reshape(-1, *sheet.shape[2:]), grid.flatten(0, 1), mode="bilinear",
                                  padding_mode="zeros", align_corners=False).unflatten(0, (b, FRAMES))
            if slot == 1:
                alpha = alpha * two[:, None]
            drawn = drawn * alpha[..., None, None, None]
            picture = picture * (1 - drawn[:, :, 3:]) + drawn[:, :, :3]
            if slot == 0:
                centres = torch.stack([cx, cy], -1)
        return (picture * 2 - 1).clamp(-1, 1), centres


def generator_for(seed, device):
    return torch.Generator(device=device).manual_seed(seed), random.Random(seed)
