// Small puts, one chunk each: submission to committed, the median of a burst.
#include "tools/bench/put_cases.h"
#include "tools/bench/stats.h"

namespace baton::bench {
namespace {

/// Puts, one after the other, whose median is one sample.
constexpr std::uint32_t kBurst = 30;

class Latency {
 public:
  Latency(Run& run, std::uint64_t chunk_bytes)
      : burst_(run.sized(kBurst, 5U)),
        settings_{{"transport", "shm"},
                  {"integrity", "full"},
                  {"poll", run.options().latency_poll == PollMode::kBusy ? "busy" : "sleep"},
                  {"chunk_bytes", chunk_bytes},
                  // Beyond the caches of one processor, on either side.
                  {"chunks", run.sized<std::uint64_t>(64U << 20U, 1U << 20U) / chunk_bytes},
                  {"batch", 1},
                  {"puts_in_a_sample", burst_}} {}

  const Json& settings() const { return settings_; }
  Json poll_and(Json more) const {
    more["poll"] = settings_["poll"];
    return more;
  }
  double of(BatonPair& pair) const { return median(pair.puts(1, burst_)); }
  double of(Worker& worker, const std::string& op, Json what = Json::object()) const {
    what["times"] = burst_;
    return median(worker.call(op, std::move(what)).at("us").get<std::vector<double>>());
  }
  std::uint32_t burst() const { return burst_; }

  CaseResult result(const std::string& name, const std::string& reference, double target) const {
    CaseResult result;
    result.name = name;
    result.reference_name = reference;
    result.unit = "us";
    result.target = target;
    result.settings = settings_;
    return result;
  }

 private:
  std::uint32_t burst_;
  Json settings_;
};

void against_lmcache(Run& run) {
  const Latency latency(run, 64U << 10U);
  BatonPair pair(run, latency.settings());
  LmcachePair lmcache(run, latency.settings());
  CaseResult result = latency.result("latency_64k", "lmcache_mode", 15);
  result.settings["lmcache_write"] = LmcachePair::kWrite;
  run.measure(
      result, {&pair.sender(), &pair.receiver(), &lmcache.prefiller(), &lmcache.decoder()}, false,
      [&] { return latency.of(pair); }, [&] { return median(lmcache.puts(1, latency.burst())); });
  pair.check_contents(1);
  run.finish(std::move(result));
}

void against_event_loop(Run& run) {
  const Latency latency(run, 64U << 10U);
  BatonPair pair(run, latency.settings());
  const auto receiver = run.start("loop-receiver", "event loop's receiver", latency.settings());
  Json arguments = latency.settings();
  arguments["receiver"] = receiver->started();
  const auto sender = run.start("loop-sender", "event loop's sender", arguments);
  CaseResult result = latency.result("latency_64k_event", "event_loop", 1.3);
  run.measure(
      result, {&pair.sender(), &pair.receiver(), sender.get(), receiver.get()}, false,
      [&] { return latency.of(pair); },
      [&] {
        const double us = latency.of(*sender, "puts");
        receiver->call("nothing");  // for its processor time
        return us;
      });
  pair.check_contents(1);
  run.finish(std::move(result));
}

void against_ping(Run& run) {
  const Latency latency(run, 4U << 10U);
  BatonPair pair(run, latency.settings());
  const std::string& channel = run.options().ping_channel;
  const auto echo = run.start("echo", "echo", latency.poll_and({{"channel", channel}}));
  const auto ping = run.start("ping", "ping",
                              latency.poll_and({{"channel", channel}, {"echo", echo->started()}}));
  CaseResult result = latency.result("latency_4k", "ping_pong", 0.60);
  result.settings["ping_channel"] = channel;
  result.settings["ping_bytes"] = 64;
  run.measure(
      result, {&pair.sender(), &pair.receiver(), ping.get(), echo.get()}, false,
      [&] { return latency.of(pair); },
      [&] {
        const double us = latency.of(*ping, "pings");
        echo->call("nothing");
        return us;
      });
  pair.check_contents(1);
  run.finish(std::move(result));
}

}  // namespace

void run_latency_cases(Run& run) {
  if (run.begin("latency_64k")) {
    against_lmcache(run);
  }
  if (run.begin("latency_64k_event")) {
    against_event_loop(run);
  }
  if (run.begin("latency_4k")) {
    against_ping(run);
  }
}

}  // namespace baton::bench
