#pragma once
// Work shared by OpenMP threads in fixed pieces: the pieces never depend on the thread count.

#include <algorithm>
#include <cstdint>

namespace weft::cpu {

/// Calls f(task) for every task in [0, tasks), in any order, on up to `threads` threads.
template <class F>
void for_tasks(int threads, std::int64_t tasks, F f) {
  if (tasks <= 1 || threads == 1) {
    for (std::int64_t task = 0; task < tasks; ++task) f(task);
    return;
  }
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1)
  for (std::int64_t task = 0; task < tasks; ++task) f(task);
}

/// Calls f(begin, end) on pieces of [0, count); `cost` is the bytes or flops of one item: small
/// work stays on the calling thread.
template <class F>
void for_ranges(int threads, std::int64_t count, std::int64_t cost, F f) {
  constexpr std::int64_t piece_cost = 1 << 16;  // long against the start of a parallel region
  const std::int64_t piece =
      std::max<std::int64_t>(1, piece_cost / std::max<std::int64_t>(1, cost));
  const std::int64_t tasks = (count + piece - 1) / piece;
  for_tasks(threads, tasks,
            [&](std::int64_t task) { f(task * piece, std::min(count, (task + 1) * piece)); });
}

}  // namespace weft::cpu
