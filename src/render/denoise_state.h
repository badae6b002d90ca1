#pragma once
// Between a window's latents and solver on the device and the plain values of a checkpoint.

#include <memory>
#include <span>

#include "weft/diffusion/solver.h"
#include "weft/parallel/windows.h"
#include "weft/render/denoise_state.h"

namespace weft {

WindowState save_window(int window, const Tensor& latents, Solver& solver);

/// Latents of `shape` on `device`; the solver gets what it remembered. Error when the state lacks
/// the window or holds other shapes.
Tensor restore_window(const DenoiseState& saved, int window, const Shape& shape, DeviceKind device,
                      Solver& solver);

/// What the solvers of one step's windows remember, to those of the next step's. Collective over
/// the exchanges' link.
void carry_solvers(const WindowExchange& from, std::span<const std::unique_ptr<Solver>> old,
                   const WindowExchange& to, std::span<const std::unique_ptr<Solver>> made);

}  // namespace weft
