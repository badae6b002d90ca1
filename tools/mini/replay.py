"""A training step as a CUDA graph: replayed, its thousands of small kernels cost the processor one call."""

import torch


def replayed(step, device):
    """`step` takes its inputs from tensors that stay where they are, and returns tensors that the next call overwrites.
    Returns a function that does the same; on a CPU `step` itself. It is run three times first: let its rates be 0."""
    if device != "cuda":
        return step
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = step()

    def replay():
        graph.replay()
        return results

    return replay


class Average:
    """A running average of parameters; `keep`, a tensor, is the share of the average that stays."""

    def __init__(self, parameters):
        self.parameters = parameters
        self.values = [p.detach().clone() for p in parameters]
        self.keep = torch.zeros((), device=parameters[0].device)

    @torch.no_grad()
    def update(self):
        torch._foreach_mul_(self.values, self.keep)
        torch._foreach_add_(self.values, torch._foreach_mul(self.parameters, 1 - self.keep))
