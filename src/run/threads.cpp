#include <algorithm>

#include <sched.h>

#include "weft/run/render_job.h"

namespace weft {

double processors_for_rank(const Communicator& comm, const Session& session) {
  cpu_set_t mine;
  CPU_ZERO(&mine);
  if (sched_getaffinity(0, sizeof mine, &mine) != 0) CPU_SET(0, &mine);
  // "HOST MASK" of every rank, to everyone.
  std::string mask(CPU_SETSIZE, '0');
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mine)) mask[cpu] = '1';
  }
  const std::string own = session.host() + " " + mask;
  std::string all;
  for (const std::string& one : comm.gather_strings(own, 0)) all += one + "\n";
  comm.broadcast_string(all, 0);

  // A processor that k ranks may use counts 1/k for each of them: ranks bound to processors of
  // their own get all of those, unbound ranks an equal share.
  std::vector<double> sharers(CPU_SETSIZE, 0);
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = all.find('\n', begin);
    const std::string line = all.substr(begin, end - begin);
    begin = end + 1;
    const std::size_t space = line.rfind(' ');
    if (line.substr(0, space) != session.host()) continue;
    for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      sharers[cpu] += line[space + 1 + cpu] == '1';
  }
  double share = 0;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &mine)) share += 1 / sharers[cpu];
  }
  return share;
}

int threads_for_rank(const Communicator& comm, const Session& session) {
  return std::max(1, static_cast<int>(processors_for_rank(comm, session) + 1e-6));
}

}  // namespace weft
