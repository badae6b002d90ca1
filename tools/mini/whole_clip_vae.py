"""AutoencoderKLWan run over whole clips at once, for training.

diffusers feeds the autoencoder one latent frame at a time through caches. Over a whole clip the same sums are causal
convolutions with two zero frames in front, which is many times faster; `check` shows that both agree. Frames are
kept as [B*T, C, H, W] in channels-last order, and a 3x3x3 convolution becomes a 3x3 one over three stacked frames.
"""

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan


def new_vae(base_dim=16):
    return AutoencoderKLWan(base_dim=base_dim, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2)


def _past(x, frames, taps):
    """Stack each frame behind its taps-1 predecessors along channels, zeros before the first."""
    v = x.permute(0, 2, 3, 1).unflatten(0, (-1, frames))  # [B, T, H, W, C], contiguous for channels-last x
    padded = F.pad(v, (0, 0, 0, 0, 0, 0, taps - 1, 0))
    return torch.cat([padded[:, k:k + frames] for k in range(taps)], -1).flatten(0, 1).permute(0, 3, 1, 2)


def _stacked(conv, x):
    """The convolution over frames that _past has stacked."""
    o, i, kt, kh, kw = conv.weight.shape
    weight = conv.weight.permute(0, 3, 4, 2, 1).reshape(o, kh, kw, kt * i).permute(0, 3, 1, 2)
    return F.conv2d(x, weight, conv.bias, padding=kh // 2)


def _conv3d(conv, x, frames):
    x = x.contiguous(memory_format=torch.channels_last)
    return _stacked(conv, x if conv.weight.shape[2] == 1 else _past(x, frames, conv.weight.shape[2]))


def _norm(x, gamma):
    return F.normalize(x.float(), dim=1).to(x.dtype) * (x.shape[1] ** 0.5 * gamma.reshape(1, -1, 1, 1)).to(x.dtype)


def _norm_silu_past(x, gamma, frames):
    return _past(F.silu(_norm(x, gamma)).contiguous(memory_format=torch.channels_last), frames, 3)


class WholeClip:
    def __init__(self, vae):
        self.vae = vae
        self.ready = _norm_silu_past
        if next(vae.parameters()).is_cuda:
            from norm_silu_past import norm_silu_past  # needs Triton
            self.ready = norm_silu_past

    def _res(self, block, x, n):
        short = x if block.conv_shortcut is None or isinstance(block.conv_shortcut, torch.nn.Identity) \
            else _conv3d(block.conv_shortcut, x, n)
        x = _stacked(block.conv1, self.ready(x, block.norm1.gamma, n))
        return short + _stacked(block.conv2, self.ready(x, block.norm2.gamma, n))

    def _attention(self, block, x):
        q, k, v = block.to_qkv(_norm(x, block.norm.gamma)).flatten(2).transpose(1, 2).chunk(3, -1)
        y = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return x + block.proj(y.transpose(1, 2).unflatten(2, x.shape[2:]))

    def _mid(self, mid, x, n):
        x = self._res(mid.resnets[0], x, n)
        return self._res(mid.resnets[1], self._attention(mid.attentions[0], x), n)

    def _resample(self, block, x, n):
        """Returns the frames and their new count."""
        if block.mode.startswith("downsample"):
            x = block.resample[1](F.pad(x, (0, 1, 0, 1)))
            if block.mode == "downsample3d":
                v = x.unflatten(0, (-1, n))
                # frame 0 stays; output k > 0 sees inputs 2k-2 .. 2k
                m = (n - 1) // 2
                taps = torch.cat([v[:, k:k + 2 * m - 1:2] for k in range(3)], 2).flatten(0, 1)
                w = block.time_conv.weight
                y = F.conv2d(taps, w.transpose(1, 2).reshape(w.shape[0], -1, 1, 1), block.time_conv.bias)
                x = torch.cat([v[:, :1], y.unflatten(0, (-1, m))], 1).flatten(0, 1)
                n = 1 + m
            return x, n
        if block.mode == "upsample3d":
            v = x.unflatten(0, (-1, n))
            y = _conv3d(block.time_conv, v[:, 1:].flatten(0, 1), n - 1)
            y = y.unflatten(0, (-1, n - 1)).unflatten(2, (2, -1))  # [B, n-1, 2, C, H, W]
            x = torch.cat([v[:, :1], y.flatten(1, 2)], 1).flatten(0, 1)
            n = 1 + 2 * (n - 1)
        return block.resample[1](F.interpolate(x, scale_factor=2.0, mode="nearest-exact")), n

    def encode(self, clips):
        """[B, F, 3, H, W] -> mean, logvar [B, 16, T, H/8, W/8]."""
        n, e = clips.shape[1], self.vae.encoder
        x = _conv3d(e.conv_in, clips.flatten(0, 1), n)
        for block in e.down_blocks:
            if hasattr(block, "resample"):
                x, n = self._resample(block, x, n)
            else:
                x = self._res(block, x, n)
        x = self._mid(e.mid_block, x, n)
        x = _conv3d(self.vae.quant_conv, _stacked(e.conv_out, self.ready(x, e.norm_out.gamma, n)), n)
        return x.unflatten(0, (-1, n)).transpose(1, 2).chunk(2, 1)

    def decode(self, z):
        """[B, 16, T, h, w] -> [B, F, 3, 8h, 8w], not clamped."""
        n, d = z.shape[2], self.vae.decoder
        x = _conv3d(self.vae.post_quant_conv, z.transpose(1, 2).flatten(0, 1), n)
        x = self._mid(d.mid_block, _conv3d(d.conv_in, x, n), n)
        for block in d.up_blocks:
            for res in block.resnets:
                x = self._res(res, x, n)
            if block.upsamplers is not None:
                x, n = self._resample(block.upsamplers[0], x, n)
        x = _stacked(d.conv_out, self.ready(x, d.norm_out.gamma, n))
        return x.unflatten(0, (-1, n))


def check():
    with torch.no_grad():
        _check_whole_clip()
    if torch.cuda.is_available():
        from norm_silu_past import largest_error
        error = largest_error(_norm_silu_past, "cuda")
        if error > 1e-4:
            raise SystemExit(f"norm_silu_past.py: differs from the plain form by {error}")
        print(f"fused kernel agrees to {error:.1e}")


def _check_whole_clip():
    """Largest difference between the whole-clip form and diffusers' own, which must be rounding only; on a GPU that of the
    fused kernel as well."""
    torch.manual_seed(0)
    vae = new_vae().eval()
    clip = torch.rand(1, 17, 3, 32, 32) * 2 - 1
    mean, _ = WholeClip(vae).encode(clip)
    reference = vae.encode(clip.transpose(1, 2)).latent_dist.mean
    video = WholeClip(vae).decode(mean)
    decoded = vae.decode(mean).sample.transpose(1, 2)
    gap = max((mean - reference).abs().max().item(), (video.clamp(-1, 1) - decoded).abs().max().item())
    if gap > 1e-4:
        raise SystemExit(f"whole_clip_vae.py: differs from diffusers by {gap}")
    print(f"whole-clip form agrees with diffusers to {gap:.1e}; "
          f"{sum(p.numel() for p in vae.parameters()) / 1e6:.2f} M parameters")


if __name__ == "__main__":
    check()
