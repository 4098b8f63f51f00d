// baton-soak: kill -9 under load, round after round.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <map>

#include "src/base/log.h"
#include "tests/fault/soak/round.h"

namespace baton::soak {
namespace {

struct Arguments {
  FleetOptions fleet;
  std::uint64_t rounds = 10;
  std::uint64_t first = 0;
};

void describe(CLI::App& app, Arguments& arguments, std::string& transport) {
  app.footer(
      "Two prefillers, two decoders and a proxy, each a process. In every round one of them is\n"
      "killed under load at a random event, and started again. Afterwards every request must have\n"
      "been identical, or reported failed; those that the victim had no part in must have\n"
      "succeeded; and every page must be free.\n\n"
      "Exit status: 0 if all that is so, 1 if not (with what to repeat), 2 for wrong arguments.\n\n"
      "Example:\n  baton-soak --rounds 100 --seed 7 --transport tcp");
  app.add_option("--rounds", arguments.rounds, "Rounds to run")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000}))
      ->capture_default_str();
  app.add_option("--first", arguments.first, "Number of the first round, to repeat it")
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{1'000'000}))
      ->capture_default_str();
  app.add_option("--seed", arguments.fleet.seed, "What all choices follow from")
      ->capture_default_str();
  app.add_option("--ranks", arguments.fleet.ranks,
                 "Processes of every prefiller and every decoder: a TP group")
      ->check(CLI::Range(1U, 4U))
      ->capture_default_str();
  app.add_option("--ucx-devices", arguments.fleet.ucx_devices,
                 "RDMA devices for the processes, in turn (default: UCX chooses)")
      ->delimiter(',');
  app.add_option("--slowness", arguments.fleet.slowness,
                 "What time limits are multiplied by, for an emulated machine")
      ->check(CLI::Range(1U, 20U))
      ->capture_default_str();
  app.add_option("--transport", transport, "auto, shm, ucx or tcp")
      ->check(CLI::IsMember({"auto", "shm", "ucx", "tcp"}))
      ->capture_default_str();
}

std::string repeat_with(const Arguments& arguments, const std::string& transport,
                        std::uint64_t round) {
  return fmt::format("baton-soak --seed {} --first {} --rounds 1 --ranks {} --transport {}",
                     arguments.fleet.seed, round, arguments.fleet.ranks, transport);
}

int run(const Arguments& arguments, const std::string& transport) {
  const Fleet fleet(arguments.fleet);
  std::vector<Worker> workers;
  for (const Place& place : fleet.places()) {
    workers.push_back({place, fleet.spawn(place), false});
  }
  if (!await_ready(fleet, workers)) {
    std::cerr << "baton-soak: not all processes began\n";
    return 1;
  }
  Totals totals;
  bool fine = true;
  for (std::uint64_t i = 0; fine && i < arguments.rounds; ++i) {
    const std::uint64_t number = arguments.first + i;
    Round round(fleet, workers, number);
    const auto& wrongs = round.run(totals);
    fine = wrongs.empty();
    std::cout << fmt::format("round {}: {}\n", number, round.summary()) << std::flush;
    for (const std::string& wrong : wrongs) {
      std::cout << "  WRONG: " << wrong << '\n';
    }
    if (!fine) {
      std::cout << "  repeat with: " << repeat_with(arguments, transport, number) << '\n';
    }
  }
  std::cout << fmt::format(
      "rounds={} requests={} identical={} failed={} mismatched={} lost_pages={}\n", totals.rounds,
      totals.requests, totals.identical, totals.failed, totals.mismatched, totals.lost_pages);
  return fine ? 0 : 1;
}

}  // namespace
}  // namespace baton::soak

int main(int argc, char** argv) {
  using baton::TransportChoice;
  constexpr int kUsageError = 2;
  baton::soak::Arguments arguments;
  std::string transport = "auto";
  CLI::App app("Kills Baton's processes under load, and calls the survivors to account.",
               "baton-soak");
  baton::soak::describe(app, arguments, transport);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsageError;
  }
  const std::map<std::string, TransportChoice> choices{{"auto", TransportChoice::kAuto},
                                                       {"shm", TransportChoice::kShm},
                                                       {"ucx", TransportChoice::kUcx},
                                                       {"tcp", TransportChoice::kTcp}};
  arguments.fleet.transport = choices.at(transport);
  if (std::getenv("BATON_LOG") == nullptr) {
    baton::log::set_level(
        baton::log::Level::kError);  // The victims' peers would warn all the time.
  }
  return baton::soak::run(arguments, transport);
}
