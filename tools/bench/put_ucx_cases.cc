// Puts through UCX, against UCX alone and the round trips that a handoff can't do without.
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "tools/bench/put_cases.h"
#include "tools/bench/stats.h"

namespace baton::bench {
namespace {

/// The allocation, whose answer names the pages, and the commit, which is acknowledged.
constexpr double kRoundTrips = 2;

struct Combination {
  std::uint64_t chunk_bytes;
  std::uint32_t batch;
};

CaseResult measure_one(Run& run, const Combination& which) {
  const std::uint64_t buffer_bytes = run.sized<std::uint64_t>(1U << 30U, 16U << 20U);
  const Json settings = {{"transport", "ucx"},
                         {"ucx_tls", "tcp"},
                         {"integrity", "off"},
                         {"poll", "sleep"},
                         {"chunk_bytes", which.chunk_bytes},
                         {"chunks", buffer_bytes / which.chunk_bytes},
                         {"batch", which.batch},
                         {"round_trips_added", kRoundTrips}};
  // A sample is the median of at least three puts, of small ones of more: UCX over TCP takes its
  // time, and not always the same.
  const std::uint64_t put_bytes = which.chunk_bytes * which.batch;
  const auto times = static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(run.sized<std::uint64_t>(256U << 20U, 1) / put_bytes, 3, 20));
  BatonPair pair(run, settings);
  const auto target = run.start("ucx-target", "bare_ucx's target", settings);
  Json arguments = settings;
  arguments["target"] = target->started();
  const auto source = run.start("ucx-source", "bare_ucx's source", arguments);
  const Json channel = {{"channel", "zmq"}, {"poll", "sleep"}};
  const auto echo = run.start("echo", "echo", channel);
  Json ping_arguments = channel;
  ping_arguments["echo"] = echo->started();
  const auto ping = run.start("ping", "ping", ping_arguments);

  CaseResult result;
  result.name = "put_ucx_overhead";
  result.reference_name = "bare_ucx";
  result.unit = "us";
  result.target = 0.90;
  result.settings = settings;
  const auto median_us = [](const Json& answer) {
    return median(answer.at("us").get<std::vector<double>>());
  };
  run.measure(
      result, {&pair.sender(), &pair.receiver(), source.get(), target.get()}, false,
      [&] { return median(pair.puts(which.batch, times)); },
      [&] {
        const double put =
            median_us(source->call("puts", {{"each", which.batch}, {"times", times}}));
        target->call("nothing");
        return put + kRoundTrips * median_us(ping->call("pings", {{"times", 11}}));
      });
  pair.check_contents(which.batch);
  return result;
}

}  // namespace

void run_put_ucx_cases(Run& run) {
  if (!run.begin("put_ucx_overhead")) {
    return;
  }
  const std::vector<Combination> all =
      run.quick() ? std::vector<Combination>{{64U << 10U, 1}}
                  : std::vector<Combination>{{64U << 10U, 1}, {64U << 10U, 32}, {1U << 20U, 1},
                                             {1U << 20U, 8},  {8U << 20U, 1},   {8U << 20U, 32}};
  CaseResult worst;
  Json combinations = Json::array();
  for (const Combination& which : all) {
    CaseResult result = measure_one(run, which);
    combinations.push_back({{"chunk_bytes", which.chunk_bytes},
                            {"batch", which.batch},
                            {"baton_us", result.baton},
                            {"bare_ucx_us", result.reference},
                            {"ratio", result.ratio.value},
                            {"ratio_low", result.ratio.low}});
    if (worst.name.empty() || result.ratio.low < worst.ratio.low) {
      worst = std::move(result);
    }
  }
  worst.settings["combinations"] = combinations;
  worst.settings["shown"] = "the combination with the lowest ratio_low";
  run.finish(std::move(worst));
}

}  // namespace baton::bench
