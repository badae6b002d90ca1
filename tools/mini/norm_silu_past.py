"""What stands before each 3x3x3 convolution of the autoencoder, as one kernel: RMS norm over channels, SiLU, and each
frame stacked behind its two predecessors. Written by hand, because compiling the plain form for every layer's shape takes
longer than a fifth of the training.

x [B*T, C, H, W] in channels-last order -> [B*T, 3C, H, W]: channels of frame t-2, t-1 and t, zeros before the first frame.
"""

import torch
import triton
import triton.language as tl


@triton.jit
def _forward(x, gamma, y, pixels, frame, frames, C: tl.constexpr, ROOT: tl.constexpr,
             BLOCK: tl.constexpr):
    """frame: pixels of a frame. Pixel p of frame t is written to p, to the next frame and to the one after.
    ROOT: of the number of channels."""
    p = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)[:, None]
    c = tl.arange(0, C)[None, :]
    inside = (p < pixels) & (c < C)
    t = (p // frame) % frames
    v = tl.load(x + p * C + c, inside, 0.0).to(tl.float32)
    v = v / tl.maximum(tl.sqrt(tl.sum(v * v, 1)[:, None]), 1e-12)
    u = v * (tl.load(gamma + c).to(tl.float32) * ROOT)
    s = (u * tl.sigmoid(u)).to(y.dtype.element_ty)
    zero = tl.zeros([BLOCK, C], y.dtype.element_ty)
    tl.store(y + p * 3 * C + 2 * C + c, s, inside)
    tl.store(y + (p + frame) * 3 * C + C + c, s, inside & (t + 1 < frames))
    tl.store(y + (p + 2 * frame) * 3 * C + c, s, inside & (t + 2 < frames))
    tl.store(y + p * 3 * C + C + c, zero, inside & (t == 0))
    tl.store(y + p * 3 * C + c, zero, inside & (t < 2))


@triton.jit
def _backward(x, gamma, dy, dx, dgamma, pixels, frame, frames, C: tl.constexpr, ROOT: tl.constexpr,
             BLOCK: tl.constexpr):
    """dgamma [programs, C]: each program's sum over its pixels."""
    p = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.int64)[:, None]
    c = tl.arange(0, C)[None, :]
    inside = (p < pixels) & (c < C)
    t = (p // frame) % frames
    ds = tl.load(dy + p * 3 * C + 2 * C + c, inside, 0.0).to(tl.float32)
    ds += tl.load(dy + (p + frame) * 3 * C + C + c, inside & (t + 1 < frames), 0.0).to(tl.float32)
    ds += tl.load(dy + (p + 2 * frame) * 3 * C + c, inside & (t + 2 < frames), 0.0).to(tl.float32)
    v = tl.load(x + p * C + c, inside, 0.0).to(tl.float32)
    scale = 1 / tl.maximum(tl.sqrt(tl.sum(v * v, 1)[:, None]), 1e-12)
    v = v * scale
    g = tl.load(gamma + c).to(tl.float32) * ROOT
    u = v * g
    sigmoid = tl.sigmoid(u)
    du = ds * sigmoid * (1 + u * (1 - sigmoid))
    dv = du * g
    tl.store(dx + p * C + c, (scale * (dv - v * tl.sum(dv * v, 1)[:, None])).to(dx.dtype.element_ty), inside)
    tl.store(dgamma + tl.program_id(0) * C + tl.arange(0, C), tl.sum(du * v * ROOT, 0))


def _launch(kernel, x, *rest):
    n, channels, height, width = x.shape
    block = 4096 // channels
    pixels = n * height * width
    kernel[(triton.cdiv(pixels, block),)](x, *rest[:-1], pixels, height * width, rest[-1], channels, channels**0.5, block)


class NormSiluPast(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, gamma, frames):
        x = x.contiguous(memory_format=torch.channels_last)
        n, channels, height, width = x.shape
        assert channels & (channels - 1) == 0, channels
        y = torch.empty(n, 3 * channels, height, width, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        _launch(_forward, x, gamma, y, frames)
        ctx.save_for_backward(x, gamma)
        ctx.frames = frames
        return y

    @staticmethod
    def backward(ctx, dy):
        x, gamma = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        dx = torch.empty_like(x)
        n, channels, height, width = x.shape
        programs = triton.cdiv(n * height * width, 4096 // channels)
        dgamma = torch.empty(programs, channels, dtype=torch.float32, device=x.device)
        _launch(_backward, x, gamma, dy, dx, dgamma, ctx.frames)
        return dx, dgamma.sum(0).to(gamma.dtype).reshape(gamma.shape), None


def norm_silu_past(x, gamma, frames):
    return NormSiluPast.apply(x, gamma, frames)


def largest_error(plain, device):
    """Against the plain form, as a share of the largest value: of results and of both gradients."""
    torch.manual_seed(0)
    worst = 0.0
    for channels in (16, 64):
        leaves = [torch.randn(6, channels, 5, 7, device=device), torch.rand(channels, 1, 1, 1, device=device) + 0.5]
        weight = torch.randn(6, 3 * channels, 5, 7, device=device)
        found = []
        for function in (plain, norm_silu_past):
            x, gamma = (leaf.clone().requires_grad_() for leaf in leaves)
            y = function(x.contiguous(memory_format=torch.channels_last), gamma, 3)
            (y * weight).sum().backward()
            found.append((y.detach(), x.grad, gamma.grad))
        worst = max([worst] + [((a - b).abs().max() / a.abs().max()).item() for a, b in zip(*found)])
    return worst
