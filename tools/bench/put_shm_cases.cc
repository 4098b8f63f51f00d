// Large puts on one host, against a copy by one thread.
#include <string_view>
#include <vector>

#include "tools/bench/put_cases.h"
#include "tools/bench/stats.h"

namespace baton::bench {
namespace {

struct ShmCase {
  const char* name;
  const char* integrity;
  double target;
};

void against_copy(Run& run, const ShmCase& which) {
  const LargePut put(run);
  BatonPair pair(run, put.settings("shm", which.integrity));
  const auto memory = run.start("memory", "memory", put.buffer());
  Json copier_arguments = put.buffer();
  copier_arguments["target"] = memory->started();
  const auto copier = run.start("copier", "copier", copier_arguments);

  CaseResult result;
  result.name = which.name;
  result.reference_name = "nt_copy";
  result.unit = "GB/s";
  result.target = which.target;
  result.settings = put.settings("shm", which.integrity);
  result.settings["nt_copy"] = copier->started();
  std::vector<double> memcpy_gbps;
  std::vector<double> digest_gbps;
  std::vector<double> verified_gbps;
  const bool verifies = std::string_view(which.integrity) != "off";
  run.measure(
      result, {&pair.sender(), &pair.receiver(), copier.get()}, true,
      [&] { return put.gbps(pair.pass(put.chunks_each(), put.times())); },
      [&] {
        const auto gbps = [&](const char* op) {
          const Json answer = copier->call(op, {{"chunks", put.chunks()}});
          return put.gbps(answer.at("us").get<double>());
        };
        memcpy_gbps.push_back(gbps("memcpy"));
        digest_gbps.push_back(gbps("digest"));
        if (verifies) {
          verified_gbps.push_back(gbps("verified_copy"));
        }
        return gbps("nt_copy");
      });
  pair.check_contents(put.chunks_each());
  run.note("nt_copy", result.reference, "GB/s");
  run.note("memcpy", median(memcpy_gbps), "GB/s");
  run.note("xxh3", median(digest_gbps), "GB/s");
  if (verifies) {
    run.note("nt_copy, another thread verifies", median(verified_gbps), "GB/s");
  }
  run.finish(std::move(result));
}

void against_lmcache(Run& run) {
  const LargePut put(run);
  BatonPair pair(run, put.settings("shm", "full"));
  LmcachePair lmcache(run, put.buffer());
  CaseResult result;
  result.name = "put_shm_vs_lmcache_mode";
  result.reference_name = "lmcache_mode";
  result.unit = "GB/s";
  result.target = 2.5;
  result.settings = put.settings("shm", "full");
  result.settings["lmcache_write"] = LmcachePair::kWrite;
  run.measure(
      result, {&pair.sender(), &pair.receiver(), &lmcache.prefiller(), &lmcache.decoder()}, true,
      [&] { return put.gbps(pair.pass(put.chunks_each(), put.times())); },
      [&] { return put.gbps(lmcache.pass(put.chunks_each(), put.times())); });
  pair.check_contents(put.chunks_each());
  run.finish(std::move(result));
}

}  // namespace

void run_put_shm_cases(Run& run) {
  for (const ShmCase& which :
       {ShmCase{"put_shm_large", "off", 0.92}, ShmCase{"put_shm_large_digest", "full", 0.70}}) {
    if (run.begin(which.name)) {
      against_copy(run, which);
    }
  }
  if (run.begin("put_shm_vs_lmcache_mode")) {
    against_lmcache(run);
  }
}

}  // namespace baton::bench
