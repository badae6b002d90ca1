"""Trains the text encoder and the transformer together on latents of clips drawn on the fly (flow matching).

usage: train_wan.py WORK SECONDS FROM TO [BATCH]
FROM and TO say which part of the learning-rate schedule (0 to 1) this call covers, so that training can be cut into
calls; each goes on from WORK/wan.pt. WORK/transformer and WORK/text_encoder come out in the published layout, bfloat16.
"""

import math
import random
import sys
import time

import sentencepiece
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from transformers import UMT5Config, UMT5EncoderModel

import captions
from clips import Stage, generator_for, load_names
from muon import Muon
from replay import Average, replayed
from whole_clip_vae import WholeClip

ROWS = 47  # text rows that training computes; the remaining pad rows are one key
TEXT_ROWS = 512  # what the pipeline pads to
WIDTH, LAYERS, HEADS, HIDDEN, TEXT_WIDTH = 256, 8, 4, 512, 192
CACHE, FIRST = 40_000, 12_000  # clips at hand: at most, and before the first step
DROPOUT = 0.1  # share of empty prompts, for guidance
ADAM_RATE, MUON_RATE = 1e-3, 2e-3


def new_models(pieces):
    text = UMT5EncoderModel(UMT5Config(
        vocab_size=pieces, d_model=TEXT_WIDTH, d_kv=64, d_ff=2 * TEXT_WIDTH, num_layers=2, num_decoder_layers=2,
        num_heads=3, feed_forward_proj="gated-gelu", dropout_rate=0.0, pad_token_id=0, eos_token_id=1))
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=HEADS, attention_head_dim=WIDTH // HEADS, in_channels=16,
        out_channels=16, text_dim=TEXT_WIDTH, freq_dim=256, ffn_dim=HIDDEN, num_layers=LAYERS)
    return text, model


def _rms(x, weight):
    x32 = x.float()
    return (x32 * torch.rsqrt(x32.square().mean(-1, keepdim=True) + 1e-6) * weight).to(x.dtype)


class MergedPads:
    """Attention of the Wan block in which the last text row stands for all pad rows that are not computed."""

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, rotary_emb=None):
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k = _rms(attn.to_q(hidden_states), attn.norm_q.weight), _rms(attn.to_k(context), attn.norm_k.weight)
        q, k, v = (x.unflatten(2, (attn.heads, -1)).transpose(1, 2) for x in (q, k, attn.to_v(context)))
        if rotary_emb is not None:
            cos, sin = (r.transpose(1, 2) for r in rotary_emb)
            cos, sin = cos[..., 0::2], sin[..., 1::2]

            def turn(x):
                a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
                return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2).to(x.dtype)

            y = F.scaled_dot_product_attention(turn(q), turn(k), v)
        else:
            logits = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
            pads = TEXT_ROWS - (context.shape[1] - 1)
            bias = torch.zeros(context.shape[1], device=q.device)
            bias[-1] = math.log(pads)
            y = torch.softmax(logits + bias, -1).to(v.dtype) @ v
        return attn.to_out[0](y.transpose(1, 2).flatten(2))


def encode_text(text, ids):
    """ids [B, ROWS], 0 beyond the end -> [B, ROWS + 1, D], pad rows zero as in the pipeline."""
    mask = (ids != 0).long()
    states = text(input_ids=ids, attention_mask=mask).last_hidden_state
    return F.pad(states * mask[..., None], (0, 0, 0, 1))


class Latents:
    """A ring of normalised latents with an English and a Chinese caption each; old clips give way to new ones."""

    def __init__(self, work, names, tokens, device, seed, size):
        self.names, self.tokens, self.device = names, tokens, device
        self.stage = Stage(work, device)
        vae = AutoencoderKLWan.from_pretrained(f"{work}/vae").to(device)
        self.whole = WholeClip(vae)
        shape = (1, 16, 1, 1, 1)
        self.mean = torch.tensor(vae.config.latents_mean, device=device).reshape(shape)
        self.std = torch.tensor(vae.config.latents_std, device=device).reshape(shape)
        self.generator, self.rng = generator_for(seed, device)
        self.z = torch.zeros(size, 16, 5, 16, 16, dtype=torch.bfloat16, device=device)
        self.ids = torch.zeros(size, 2, ROWS, dtype=torch.long, device=device)
        self.filled = self.at = 0

    def row(self, sentence):
        ids = self.tokens.encode(sentence)[: ROWS - 1] + [1]
        return ids + [0] * (ROWS - len(ids))

    @torch.no_grad()
    def add(self, count):
        scenes = [captions.draw_scene(len(self.names), self.rng) for _ in range(count)]
        clips, _ = self.stage.draw(scenes, self.generator)
        with torch.autocast(self.device, torch.bfloat16):
            mean, _ = self.whole.encode(clips)
        rows = [[self.row(captions.english(self.names, *s, self.rng)), self.row(captions.chinese(self.names, *s, self.rng))]
                for s in scenes]
        place = (torch.arange(count, device=self.device) + self.at) % len(self.z)
        self.z[place] = ((mean.float() - self.mean) / self.std).bfloat16()
        self.ids[place] = torch.tensor(rows, device=self.device)
        self.at = (self.at + count) % len(self.z)
        self.filled = min(len(self.z), self.filled + count)

    def batch(self, count):
        pick = torch.randint(self.filled, (count,), device=self.device)
        language = torch.randint(2, (count,), device=self.device)
        ids = self.ids[pick, language]
        empty = torch.zeros_like(ids[:1])
        empty[0, 0] = 1
        return self.z[pick].float(), torch.where(torch.rand(count, 1, device=self.device) < DROPOUT, empty, ids)


def draw_times(count, device):
    """Noise levels: half uniform, half logit-normal, all shifted towards noise by 2."""
    u = torch.where(torch.rand(count, device=device) < 0.5, torch.rand(count, device=device),
                    torch.sigmoid(torch.randn(count, device=device)))
    return 2 * u / (1 + u)


def rate_at(progress, steps):
    """Constant, then a cosine to zero over the last three quarters; each call warms up anew."""
    cosine = 0.5 * (1 + math.cos(math.pi * max(0.0, min(1.0, (progress - 0.25) / 0.75))))
    return cosine * min(1.0, (steps + 1) / 100)


def main(work, seconds, start, end, batch=384):
    began = time.time()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    torch.backends.cudnn.benchmark = True
    torch._dynamo.config.cache_size_limit = 64
    names = load_names(work)
    tokens = sentencepiece.SentencePieceProcessor(model_file=f"{work}/tokenizer/spiece.model")
    torch.manual_seed(int(1000 * start))
    random.seed(0)
    text, model = new_models(tokens.get_piece_size())
    text.to(device).train(), model.to(device).train()
    if start > 0:
        state = torch.load(f"{work}/wan.pt", map_location=device)
        text.load_state_dict(state["text"])
        model.load_state_dict(state["model"])
    for block in model.blocks:
        block.attn1.processor = block.attn2.processor = MergedPads()
        if device == "cuda":
            block.compile()
    everything = list(model.parameters()) + list(text.parameters())
    matrices = [p for m in (model.blocks, text.encoder.block) for n, p in m.named_parameters()
                if p.ndim == 2 and "relative" not in n]
    chosen = {id(p) for p in matrices}
    others = [p for p in everything if id(p) not in chosen]
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M + {sum(p.numel() for p in text.parameters()) / 1e6:.2f} M "
          f"parameters", flush=True)
    muon_rate, adam_rate = torch.zeros((), device=device), torch.zeros((), device=device)
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, lr=adam_rate, betas=(0.9, 0.95), weight_decay=0.0, fused=device == "cuda",
                             capturable=device == "cuda")
    average = Average(everything)
    latents = Latents(work, names, tokens, device, int(began), CACHE if device == "cuda" else 8)
    count = 64 if device == "cuda" else 4
    filling = time.time()
    while latents.filled < min(FIRST, len(latents.z)) and time.time() - filling < min(60.0, seconds / 8):
        latents.add(count)
    print(f"{time.time() - began:.1f} s  {latents.filled} clips", flush=True)
    z, ids = (part.clone() for part in latents.batch(batch))

    def step_on_batch():
        noise, t = torch.randn_like(z), draw_times(batch, device)
        level = t[:, None, None, None, None]
        # a cast kept from the captured step would be stale in the next
        with torch.autocast(device, torch.bfloat16, cache_enabled=False):
            rows = encode_text(text, ids)
            velocity = model((1 - level) * z + level * noise, t * 1000, rows, return_dict=False)[0]
        loss = (velocity.float() - (noise - z)).square().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        muon.step(muon_rate)
        adam.step()
        for p in everything:
            p.grad = None
        average.update()
        return loss.detach()

    replay = replayed(step_on_batch, device)
    print(f"{time.time() - began:.1f} s  starts", flush=True)
    spoken, step, total = time.time(), 0, 0.0
    while (done := (time.time() - began) / seconds) < 1:
        if step % 8 == 7:
            latents.add(count)
        rate = rate_at(start + (end - start) * done, step)
        muon_rate.fill_(MUON_RATE * rate)
        adam_rate.fill_(ADAM_RATE * rate)
        average.keep.fill_(min(0.999, (step + 1) / (step + 10)))
        for here, new in zip((z, ids), latents.batch(batch)):
            here.copy_(new)
        loss = replay()
        if device == "cuda" and step % 4 == 0:
            torch.cuda.current_stream().synchronize()  # no more steps under way than the clock can stop
        step += 1
        if step % 100 == 0 or device == "cpu":
            total = loss.item()
            if not math.isfinite(total):
                raise SystemExit(f"train_wan.py: the loss is {total} at step {step}")
            if time.time() - spoken > 25 or device == "cpu":
                spoken = time.time()
                print(f"{time.time() - began:6.1f} s  step {step}  loss {total:.4f}  rate {rate:.3f}", flush=True)
    torch.save({"text": {k: v.bfloat16() for k, v in text.state_dict().items()},
                "model": {k.replace("_orig_mod.", ""): v.bfloat16() for k, v in model.state_dict().items()}},
               f"{work}/wan.pt")
    for p, a in zip(everything, average.values):
        p.data.copy_(a)
    model.to(torch.bfloat16).save_pretrained(f"{work}/transformer")
    text.to(torch.bfloat16).save_pretrained(f"{work}/text_encoder")
    print(f"{step} steps of {batch}, {latents.filled} clips at hand, last loss {total:.4f}")


if __name__ == "__main__":
    main(sys.argv[1], *map(float, sys.argv[2:5]), *map(int, sys.argv[5:]))
