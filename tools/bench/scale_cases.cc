// Many senders, one receiver.
#include <fmt/format.h>

#include <numeric>

#include "tools/bench/failed.h"
#include "tools/bench/put_cases.h"

namespace baton::bench {
namespace {

constexpr double kLeastJain = 0.95;

struct Loader {
  std::unique_ptr<Worker> worker;
  std::string prefix;
  std::uint64_t first_key;
  std::uint64_t next_key;
};

class Crowd {
 public:
  Crowd(Run& run, const Json& settings, const Json& receiver, std::uint32_t count,
        std::uint32_t chunks_each, std::uint64_t key_space)
      : seconds_(run.sized(1.0, 0.1)), batch_(settings.at("batch").get<std::uint32_t>()) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint64_t first = (key_space + i) << 40U;
      Json arguments = settings;
      arguments.update(receiver);
      arguments["chunks"] = chunks_each;
      arguments["seed"] = first;
      const std::string name = fmt::format("sender {} of {}", i + 1, count);
      loaders_.push_back(
          {run.start("sender", name, arguments), fmt::format("s{}", key_space + i), first, first});
      // Meets the receiver, one after the other: each maps the receiver's whole buffer.
      loaders_.back().worker->call(
          "puts",
          {{"req", loaders_.back().prefix}, {"first", first}, {"each", batch_}, {"times", 1}});
      loaders_.back().next_key += batch_;
    }
  }

  /// All at once for a second or so; bytes a second of each.
  std::vector<double> load() {
    for (Loader& loader : loaders_) {
      loader.worker->send("puts_for", {{"req", loader.prefix},
                                       {"first", loader.next_key},
                                       {"each", batch_},
                                       {"seconds", seconds_}});
    }
    std::vector<double> rates;
    for (Loader& loader : loaders_) {
      const Json answer = loader.worker->receive();
      loader.next_key += answer.at("puts").get<std::uint64_t>() * batch_;
      rates.push_back(answer.at("bytes_written").get<double>() /
                      answer.at("seconds").get<double>());
    }
    return rates;
  }

  /// For the receiver, which claims all that was and will be put.
  Json claims() const {
    Json all = Json::array();
    for (const Loader& loader : loaders_) {
      all.push_back({{"req", loader.prefix}, {"first", loader.first_key}, {"each", batch_}});
    }
    return all;
  }
  std::vector<Worker*> workers() const {
    std::vector<Worker*> all;
    for (const Loader& loader : loaders_) {
      all.push_back(loader.worker.get());
    }
    return all;
  }

 private:
  double seconds_;
  std::uint32_t batch_;
  std::vector<Loader> loaders_;
};

double gbps(const std::vector<double>& rates) {
  return std::accumulate(rates.begin(), rates.end(), 0.0) / 1e9;
}

void many_senders(Run& run) {
  const std::uint32_t senders = run.sized(64U, 4U);
  const std::uint32_t chunks = run.sized(1024U, 64U);
  const Json settings = {{"transport", "shm"}, {"integrity", "full"},
                         {"poll", "sleep"},    {"chunk_bytes", std::uint64_t{1} << 20U},
                         {"chunks", chunks},   {"batch", 4},
                         {"senders", senders}};
  const auto receiver = run.start("receiver", "receiver", settings);
  Crowd many(run, settings, receiver->started(), senders, chunks / senders, 1);
  Crowd one(run, settings, receiver->started(), 1, chunks, 0);
  for (const Crowd* crowd : {&many, &one}) {
    receiver->call("claim_all", {{"chains", crowd->claims()}});
  }
  CaseResult result;
  result.name = "scale_64";
  result.reference_name = "one_sender";
  result.unit = "GB/s";
  result.target = 0.85;
  result.settings = settings;
  std::vector<double> fairness;
  std::vector<Worker*> workers = many.workers();
  workers.push_back(one.workers().front());
  workers.push_back(receiver.get());
  run.measure(
      result, workers, true,
      [&] {
        const std::vector<double> rates = many.load();
        fairness.push_back(jain(rates));
        receiver->call("nothing");
        return gbps(rates);
      },
      [&] { return gbps(one.load()); });
  if (const auto trouble = receiver->call("claim_trouble").at("trouble").get<std::string>();
      !trouble.empty()) {
    throw Failed("a claim failed: " + trouble);
  }
  const double median_jain = median(fairness);
  result.settings["jain"] = median_jain;
  result.settings["jain_target"] = kLeastJain;
  result.condition = fmt::format("Jain's index {:.3f}, to be {} or more", median_jain, kLeastJain);
  result.condition_met = median_jain >= kLeastJain;
  // Sixty-four figures tell less than their sum.
  double senders_cpu = 0;
  for (const Worker* worker : many.workers()) {
    senders_cpu += result.cpu_seconds[worker->name()].get<double>();
    result.cpu_seconds.erase(worker->name());
  }
  result.cpu_seconds[fmt::format("all {} senders", senders)] = senders_cpu;
  run.finish(std::move(result));
}

}  // namespace

void run_scale_cases(Run& run) {
  if (run.begin("scale_64")) {
    many_senders(run);
  }
}

}  // namespace baton::bench
