#pragma once
// Which job a free worker takes next. Pure functions of what lies in the queue's folder: every
// worker works it out by itself, there is no coordinator. (How rank groups share windows of one
// clip is decided elsewhere: grid/, render/plan.)

#include <cstddef>
#include <optional>
#include <span>

#include "weft/run/priority.h"

namespace weft {

/// The order among waiting jobs; equal ones by index. Only `priority` looks at priorities: a low
/// one waits while higher ones wait, and comes to its turn when those are given out.
enum class JobOrder { fifo, priority, shortest, largest };

/// Which worker a job is for.
enum class Balance {
  round_robin,   // worker (index mod number of workers), however busy
  least_loaded,  // whoever is free
  measured,      // whoever would finish it first, from measured speeds
};

struct Waiting {
  double work = 0;  // floating-point operations
  Priority priority = Priority::normal;
  int index = 0;  // place in the list, from 0
};

struct Worker {
  double speed = 0;         // floating-point operations per second; <= 0: not known
  double busy_seconds = 0;  // until it is free, <= 0: it is now
};

/// The place in `waiting` of what worker `me`, free now, should take; none when all of it is
/// better left to others. `measured` plans all waiting jobs in their order, each for the worker
/// that would finish it first (busy ones after what they do now), and gives the first of `me`'s:
/// at least one worker that is free gets one when no worker is busy. A speed that is not known
/// counts as the mean of the known ones.
std::optional<std::size_t> next_job(std::span<const Waiting> waiting,
                                    std::span<const Worker> workers, std::size_t me, JobOrder order,
                                    Balance balance);

/// Seconds until the last job is done when every free worker follows next_job() and speeds are as
/// given.
double makespan(std::span<const Waiting> jobs, std::span<const Worker> workers, JobOrder order,
                Balance balance);

/// No schedule is faster: for every k the k largest jobs need the k fastest workers at least.
/// Workers are taken as free now.
double makespan_bound(std::span<const Waiting> jobs, std::span<const Worker> workers);

}  // namespace weft
