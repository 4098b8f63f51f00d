// A prefill's chunks on one host: written where they are to be, against staged and copied.
#include <array>
#include <vector>

#include "tools/bench/failed.h"
#include "tools/bench/put_cases.h"
#include "tools/bench/stats.h"

namespace baton::bench {
namespace {

/// As tiny as the model is: 256 tokens of 2 KiB.
constexpr std::uint64_t kChunkBytes = 512U << 10U;

class ExportPair {
 public:
  ExportPair(Run& run, const Json& settings)
      : each_(settings.at("batch").get<std::uint32_t>()),
        receiver_(run.start("receiver", "receiver", settings)) {
    Json arguments = settings;
    arguments.update(receiver_->started());
    exporter_ = run.start("exporter", "llama.cpp's prefiller", arguments);
  }

  double hand_over(bool in_place, std::uint32_t times) {
    const Json what = {{"req", "r"},     {"first", next_key_},   {"each", each_},
                       {"times", times}, {"in_place", in_place}, {"digests", true}};
    next_key_ += std::uint64_t{each_} * times;
    const Json sent = exporter_->call("exports", what);
    const std::uint64_t expected = in_place ? 0 : kChunkBytes * each_ * times;
    if (sent.at("bytes_written") != expected) {
      throw Failed("a put moved other bytes than it should");
    }
    if (receiver_->call("claim", what).at("digests") != sent.at("digests")) {
      throw Failed("the receiver has other bytes than were exported");
    }
    export_us_[in_place ? 1 : 0].push_back(median(sent.at("export_us").get<std::vector<double>>()));
    return median(sent.at("us").get<std::vector<double>>());
  }
  /// What no put can save.
  double export_us(bool in_place) const { return median(export_us_.at(in_place ? 1 : 0)); }

  Worker& exporter() { return *exporter_; }
  Worker& receiver() { return *receiver_; }

 private:
  std::uint32_t each_;
  std::unique_ptr<Worker> receiver_;
  std::unique_ptr<Worker> exporter_;
  std::uint64_t next_key_ = 0;
  std::array<std::vector<double>, 2> export_us_;
};

}  // namespace

void run_put_inplace_case(Run& run) {
  const Json settings = {{"transport", "shm"},
                         {"integrity", "off"},
                         {"poll", "sleep"},
                         {"chunk_bytes", kChunkBytes},
                         {"chunks", 128},
                         {"batch", 8},
                         {"handovers_in_a_sample", 5},
                         {"model", "made here, 2 KiB of KV a token"}};
  ExportPair pair(run, settings);
  CaseResult result;
  result.name = "put_inplace";
  result.reference_name = "copied_put";
  result.unit = "us";
  result.target = 1.5;
  result.settings = settings;
  run.measure(
      result, {&pair.exporter(), &pair.receiver()}, false, [&] { return pair.hand_over(true, 5); },
      [&] { return pair.hand_over(false, 5); });
  result.settings["export_alone_us"] = pair.export_us(true);
  result.settings["export_alone_us_copied_put"] = pair.export_us(false);
  run.note("llama.cpp's export, in place", pair.export_us(true), "us");
  run.note("llama.cpp's export, staged", pair.export_us(false), "us");
  run.finish(std::move(result));
}

}  // namespace baton::bench
