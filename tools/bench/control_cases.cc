// What is not bytes: keys, the index, and chunks that are there already.
#include "tools/bench/failed.h"
#include "tools/bench/put_cases.h"

namespace baton::bench {
namespace {

void allocation(Run& run) {
  constexpr std::uint64_t kChunkBytes = 64;
  const std::uint32_t keys = run.sized(4096U, 64U);
  // A put over shm says all this on its connection's lane, one over tcp to the alloc port.
  const bool lane = run.options().control_channel == "lane";
  const Json settings = {{"transport", lane ? "shm" : "tcp"},
                         {"channel", lane ? "shm lane" : "zmq"},
                         {"integrity", "full"},
                         {"poll", "sleep"},
                         {"chunk_bytes", kChunkBytes},
                         {"chunks", 2 * keys},
                         {"keys", keys}};
  const auto receiver = run.start("receiver", "receiver", settings);
  Json arguments = settings;
  arguments.update(receiver->started());
  const auto allocator = run.start("allocator", "allocator", arguments);
  LmcachePair lmcache(run, settings);
  CaseResult result;
  result.name = "control_4096";
  result.reference_name = "lmcache_mode";
  result.unit = "us";
  result.target = 12;
  result.settings = settings;
  std::uint64_t first = 0;
  run.measure(
      result, {allocator.get(), receiver.get(), &lmcache.prefiller(), &lmcache.decoder()}, false,
      [&] {
        const Json answer = allocator->call("allocate", {{"first", first}, {"keys", keys}});
        first += keys;
        receiver->call("nothing");
        return answer.at("us").get<double>();
      },
      [&] { return lmcache.allocate(keys); });
  run.finish(std::move(result));
}

/// A worker whose index holds so many chunks.
std::unique_ptr<Worker> start_index(Run& run, std::uint32_t residents) {
  return run.start("index", "index of " + std::to_string(residents), {{"residents", residents}});
}

void flatness(Run& run) {
  const std::uint32_t few = 1000;
  const std::uint32_t many = run.sized(1'000'000U, 2000U);
  const auto small = start_index(run, few);
  const auto large = start_index(run, many);
  const auto sample = [&](Worker& index) {
    return index.call("puts", {{"times", run.sized(40, 2)}}).at("ns_a_key").get<double>();
  };
  CaseResult result;
  result.name = "control_flat";
  result.reference_name = "index_of_1000";
  result.unit = "ns a key";
  result.target = 0.70;
  result.settings = {{"residents", many},   {"keys_in_a_put", 512}, {"of_these_resident", 256},
                     {"transport", "none"}, {"integrity", "none"},  {"poll", "none"}};
  run.measure(
      result, {large.get(), small.get()}, false, [&] { return sample(*large); },
      [&] { return sample(*small); });
  run.finish(std::move(result));
}

void deduplication(Run& run) {
  const std::uint32_t chunks = run.sized(512U, 16U);
  constexpr std::uint64_t kChunkBytes = std::uint64_t{1} << 20U;
  const Json settings = {{"transport", "shm"},         {"integrity", "full"},  {"poll", "sleep"},
                         {"chunk_bytes", kChunkBytes}, {"chunks", 2 * chunks}, {"batch", chunks}};
  BatonPair pair(run, settings);
  CaseResult result;
  result.name = "dedupe_512";
  result.reference_name = "nothing_there";
  result.unit = "us";
  result.target = 100;
  result.settings = settings;
  run.measure(
      result, {&pair.sender(), &pair.receiver()}, false, [&] { return pair.put_again(chunks); },
      [&] { return pair.pass(chunks, 1); });
  pair.check_contents(chunks);
  run.finish(std::move(result));
}

void resident_bytes(Run& run) {
  constexpr double kAllowedBytes = 200;
  const std::uint32_t residents = run.sized(1'000'000U, 2000U);
  const auto index = start_index(run, residents);
  CaseResult result;
  result.name = "resident_bytes";
  result.reference_name = "200_bytes";
  result.unit = "bytes";
  result.target = 1.0;
  result.settings = {{"residents", residents}, {"key_bytes", 31},     {"counted", "heap in use"},
                     {"transport", "none"},    {"integrity", "none"}, {"poll", "none"}};
  // Counted, not timed: every count is the same.
  result.baton = index->started().at("bytes_each").get<double>();
  if (result.baton <= 0) {
    result.not_measured = "this build's allocator can't be asked what is in use";
  }
  result.reference = kAllowedBytes;
  result.baton_samples = {result.baton};
  result.reference_samples = {kAllowedBytes};
  const double ratio = kAllowedBytes / result.baton;
  result.ratio = {ratio, ratio, ratio};
  run.finish(std::move(result));
}

}  // namespace

void run_control_cases(Run& run) {
  if (run.begin("control_4096")) {
    allocation(run);
  }
  if (run.begin("control_flat")) {
    flatness(run);
  }
  if (run.begin("dedupe_512")) {
    deduplication(run);
  }
  if (run.begin("resident_bytes")) {
    resident_bytes(run);
  }
}

}  // namespace baton::bench
