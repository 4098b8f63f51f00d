#include "tools/bench/put_cases.h"

#include <fmt/format.h>

#include <numeric>

#include "tools/bench/failed.h"

namespace baton::bench {

BatonPair::BatonPair(Run& run, const Json& settings)
    : receiver_(run.start("receiver", "receiver", settings)) {
  Json arguments = settings;
  arguments.update(receiver_->started());
  sender_ = run.start("sender", "sender", arguments);
}

std::vector<double> BatonPair::puts(std::uint32_t each, std::uint32_t times) {
  const Json what = {{"req", "r"}, {"first", next_key_}, {"each", each}, {"times", times}};
  next_key_ += std::uint64_t{each} * times;
  const Json answer = sender_->call("puts", what);
  if (answer.at("chunks_sent") != std::uint64_t{each} * times) {
    throw Failed("a put left out chunks that were not there");
  }
  receiver_->call("claim", what);
  return answer.at("us").get<std::vector<double>>();
}

double BatonPair::pass(std::uint32_t each, std::uint32_t times) {
  const std::vector<double> us = puts(each, times);
  return std::accumulate(us.begin(), us.end(), 0.0);
}

double BatonPair::put_again(std::uint32_t each) {
  if (next_key_ < each) {
    puts(each, 1);
  }
  const Json what = {{"req", fmt::format("again{}", ++repeats_)},
                     {"first", next_key_ - each},
                     {"each", each},
                     {"times", 1}};
  const Json answer = sender_->call("puts", what);
  if (answer.at("bytes_written") != 0 || answer.at("chunks_skipped") != each) {
    throw Failed("a put wrote chunks that were there already");
  }
  receiver_->call("claim", what);
  return answer.at("us").at(0).get<double>();
}

double BatonPair::cpu_seconds() {
  sender_->call("nothing");
  receiver_->call("nothing");
  return sender_->cpu_seconds() + receiver_->cpu_seconds();
}

void BatonPair::check_contents(std::uint32_t each) {
  const Json what = {
      {"req", "r"}, {"first", next_key_}, {"each", each}, {"times", 1}, {"digests", true}};
  next_key_ += each;
  const Json sent = sender_->call("puts", what).at("digests");
  const Json there = receiver_->call("claim", what).at("digests");
  if (sent != there || sent.size() != each) {
    throw Failed("the receiver has other bytes than the sender put");
  }
}

LmcachePair::LmcachePair(Run& run, const Json& settings)
    : decoder_(run.start("decoder.py", "lmcache_mode's decoder", settings)) {
  Json arguments = settings;
  arguments["decoder"] = decoder_->started();
  arguments["library"] = BATON_LMCACHE_WRITE;
  prefiller_ = run.start("prefiller.py", "lmcache_mode's prefiller", arguments);
}

std::vector<double> LmcachePair::puts(std::uint32_t each, std::uint32_t times) {
  const Json answer =
      prefiller_->call("puts", {{"first", next_key_}, {"each", each}, {"times", times}});
  next_key_ += std::uint64_t{each} * times;
  decoder_->call("forget");
  return answer.at("us").get<std::vector<double>>();
}

double LmcachePair::pass(std::uint32_t each, std::uint32_t times) {
  const std::vector<double> us = puts(each, times);
  return std::accumulate(us.begin(), us.end(), 0.0);
}

double LmcachePair::allocate(std::uint32_t keys) {
  const Json answer = prefiller_->call("allocate", {{"first", next_key_}, {"keys", keys}});
  next_key_ += keys;
  decoder_->call("forget");
  return answer.at("us").get<double>();
}

void run_put_cases(Run& run) {
  run_put_shm_cases(run);
  run_put_tcp_cases(run);
  run_put_ucx_cases(run);
  if (run.begin("put_inplace")) {
#ifdef BATON_WITH_LLAMA
    run_put_inplace_case(run);
#else
    CaseResult result;
    result.name = "put_inplace";
    result.reference_name = "copied_put";
    result.target = 1.5;
    result.not_measured = "this build has no llama.cpp (BATON_WITH_LLAMA)";
    run.finish(std::move(result));
#endif
  }
}

}  // namespace baton::bench
