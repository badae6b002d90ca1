#pragma once
// What the programs that mpirun starts have in common.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include <CLI/CLI.hpp>

#include "weft/base/error.h"
#include "weft/comm/session.h"
#include "weft/device/device_api.h"
#include "weft/ops/ops.h"

namespace weft::bench {

/// `device`: cuda (the GPU of the rank's number on its host) or cpu; `precision`: f32, bf16 or fp8,
/// on CUDA. InputError where there is no GPU.
inline std::unique_ptr<Ops> rank_ops(const std::string& device, const std::string& precision,
                                     int threads, const Session& session) {
  if (device == "cpu") return make_cpu_ops(threads);
  const Precision wanted = precision == "f32"    ? Precision::f32
                           : precision == "bf16" ? Precision::bf16
                                                 : Precision::fp8;
  auto ops = make_cuda_ops(session.local_rank() % std::max(1, cuda_device_count()), wanted);
  if (ops == nullptr) fail_input("--device cuda: {}; --device cpu works", cuda_absent_reason());
  return ops;
}

/// The program: options into Arguments by describe(app, arguments), then run(arguments, session).
/// Returns the exit code: 2 where the user is to mend something. An error ends all ranks.
template <class Arguments>
int main_of(int argc, char** argv, const char* about, void (*describe)(CLI::App&, Arguments&),
            void (*run)(const Arguments&, const Session&)) {
  const Session session(argc, argv);
  Arguments arguments;
  CLI::App app(about);
  describe(app, arguments);
  try {
    app.parse(argc, argv);
    run(arguments, session);
    return 0;
  } catch (const CLI::ParseError& e) {  // every rank finds the same
    if (session.rank() == 0) app.exit(e);
    return e.get_exit_code() == 0 ? 0 : 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "rank %d: %s\n", session.rank(), e.what());
    Session::abort(dynamic_cast<const InputError*>(&e) != nullptr ? 2 : 1);
  }
}

}  // namespace weft::bench
