// The `baton` command.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <variant>

#include "tools/command_line.h"
#ifdef BATON_WITH_BENCH
#include "tools/bench/bench.h"
#include "tools/bench/role.h"
#endif
#ifdef BATON_WITH_LLAMA
#include "tools/demo/decode_worker.h"
#include "tools/demo/demo.h"
#include "tools/demo/prefill_worker.h"
#include "tools/demo/proxy_process.h"
#include "tools/demo/reference.h"
#endif

namespace baton {
namespace {

#ifdef BATON_WITH_BENCH
int measure(const bench::BenchOptions& options) {
  return bench::run_bench(options);
}
#else
int measure(const bench::BenchOptions& /*options*/) {
  fmt::print(stderr,
             "baton bench: this `baton` was built without the benchmark; `make bench` in Baton's "
             "sources builds and runs one with it\n");
  return 1;
}
#endif

#ifdef BATON_WITH_LLAMA

struct HiddenCommand {
  std::string_view name;
  int (*run)(UniqueFd socket);
};

/// How the demo starts itself: `baton demo-… FD`.
constexpr HiddenCommand kHiddenCommands[] = {{"demo-reference", demo::run_reference},
                                             {"demo-proxy", demo::run_proxy},
                                             {"demo-prefill", demo::run_prefill_worker},
                                             {"demo-decode", demo::run_decode_worker}};

int run(int argc, char** argv) {
  for (const HiddenCommand& command : kHiddenCommands) {
    if (argc == 3 && command.name == argv[1]) {
      return command.run(UniqueFd(std::atoi(argv[2])));
    }
  }
  const Command command = parse_command_line(argc, argv);
  if (const auto* exit_now = std::get_if<ExitNow>(&command)) {
    return exit_now->status;
  }
  if (const auto* generate = std::get_if<GenerateKeys>(&command)) {
    return generate_keys(*generate);
  }
  if (const auto* show = std::get_if<ShowKey>(&command)) {
    return show_key(*show);
  }
  if (const auto* check = std::get_if<config::CheckConfig>(&command)) {
    return config::check_config(*check);
  }
  if (const auto* examine = std::get_if<doctor::DoctorOptions>(&command)) {
    return doctor::run_doctor(*examine);
  }
  if (const auto* chosen = std::get_if<bench::BenchOptions>(&command)) {
    return measure(*chosen);
  }
  return demo::run_demo(std::get<demo::DemoOptions>(command));
}

#else

int run(int argc, char** argv) {
  const Command command = parse_command_line(argc, argv);
  if (const auto* exit_now = std::get_if<ExitNow>(&command)) {
    return exit_now->status;
  }
  if (const auto* generate = std::get_if<GenerateKeys>(&command)) {
    return generate_keys(*generate);
  }
  if (const auto* show = std::get_if<ShowKey>(&command)) {
    return show_key(*show);
  }
  if (const auto* check = std::get_if<config::CheckConfig>(&command)) {
    return config::check_config(*check);
  }
  if (const auto* examine = std::get_if<doctor::DoctorOptions>(&command)) {
    return doctor::run_doctor(*examine);
  }
  if (const auto* chosen = std::get_if<bench::BenchOptions>(&command)) {
    return measure(*chosen);
  }
  fmt::print(stderr,
             "baton demo: this `baton` was built without llama.cpp; `make demo` in Baton's sources "
             "builds one with it\n");
  return 1;
}

#endif

}  // namespace
}  // namespace baton

int main(int argc, char** argv) {
  try {
#ifdef BATON_WITH_BENCH
    // How the benchmark starts itself.
    if (argc == 3 && std::string_view(argv[1]) == "bench-worker") {
      return baton::bench::run_worker(baton::UniqueFd(std::atoi(argv[2])));
    }
#endif
    return baton::run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "baton: {}\n", error.what());
    return 1;
  }
}
