"""The Muon optimizer: orthogonalised momentum for weight matrices."""

import torch


class Muon:
    """Matrices are grouped by shape, so that one batched product serves many; convolutions count as matrices."""

    def __init__(self, weights, decay=0.01):
        self.decay = decay
        shapes = {}
        for p in weights:
            shapes.setdefault((p.shape[0], p[0].numel()), []).append(p)
        self.groups = [(g, torch.zeros(len(g), *s, device=g[0].device)) for s, g in shapes.items()]

    @torch.no_grad()
    def step(self, rate):
        """rate: a tensor, so that a replayed step can be told another."""
        for group, momentum in self.groups:
            gradient = torch.stack([p.grad.flatten(1) for p in group])
            momentum.lerp_(gradient, 0.05)
            x = gradient.lerp(momentum, 0.95).bfloat16()
            tall = x.shape[1] > x.shape[2]
            x = x.transpose(1, 2) if tall else x
            x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
            for _ in range(5):
                a = x @ x.transpose(1, 2)
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            x = (x.transpose(1, 2) if tall else x).float() * (0.2 * max(x.shape[1:]) ** 0.5 * rate)
            torch._foreach_mul_(group, 1 - self.decay * rate)
            torch._foreach_sub_(group, [u.reshape(p.shape) for u, p in zip(x.unbind(), group)])
