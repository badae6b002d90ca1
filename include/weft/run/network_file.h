#pragma once
// The file that `weft bench-net -o` writes and plans read (key `network`): JSON with the measured
// rows, for people and papers, and the fitted figures, for the planner.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "weft/comm/network_bench.h"
#include "weft/device/tensor.h"
#include "weft/grid/network.h"

namespace weft {

/// What was measured, where, by what.
struct NetworkReport {
  std::string date;  // "2026-11-27T10:00:00Z"
  DeviceKind device = DeviceKind::cpu;
  std::string device_name;  // of rank 0: "NVIDIA H200", a processor
  std::string transport;    // device_link_transport(), "MPI", "MPI by way of host memory"
  std::string mpi;          // version of the library
  HostMap hosts;
  NetworkBenchOptions options;
  NetworkBench bench;
  std::optional<double> forward_speed;  // FLOP/s per rank, given by the user
};

/// time = latency + bytes sent / bandwidth over all sizes of one pattern in one scope.
struct NetworkFit {
  NetworkScope scope;
  NetworkPattern pattern;
  LinkSpeed fit;
};
/// Patterns whose times do not grow with bytes are left out.
std::vector<NetworkFit> fit_network(const NetworkBench& bench);

/// The planner's figures are those of the all-to-all, which is what sharing a forward sends.
/// Error when the file cannot be written; it is whole or not there.
void write_network_file(const std::filesystem::path& path, const NetworkReport& report);

/// The file's text. InputError: it cannot be read, or is far larger than such a file.
std::string read_network_text(const std::filesystem::path& path);
/// The figures in such a text; `path` is for messages and for MeasuredNetwork::source. InputError:
/// not a network file, damaged, of a later version, measured between other devices than `device`.
MeasuredNetwork network_figures(const std::string& text, const std::filesystem::path& path,
                                DeviceKind device);

}  // namespace weft
