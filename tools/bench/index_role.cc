// The receiver's index alone, with few or many resident chunks: no network, no bytes.
#include <fmt/format.h>
#include <malloc.h>

#include <deque>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "src/memory/registered_buffer.h"
#include "src/receiver/chunk_pool.h"
#include "src/receiver/request_table.h"
#include "tools/bench/chunks.h"
#include "tools/bench/failed.h"
#include "tools/bench/json_pipe.h"
#include "tools/bench/role.h"

namespace baton::bench {
namespace {

constexpr std::uint32_t kBatch = 512;
constexpr std::size_t kPageBytes = 64;

/// Runs what the table posts when it is told to; no time passes.
class Turns final : public Scheduler {
 public:
  TimePoint now() const override { return {}; }
  void post(Task task) override { tasks_.push_back(std::move(task)); }
  TimerId run_at(TimePoint /*when*/, Task /*task*/) override { return ++timers_; }
  void cancel(TimerId /*timer*/) override {}
  bool on_loop() const override { return true; }

  void run() {
    while (!tasks_.empty()) {
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
  }

 private:
  std::deque<Task> tasks_;
  TimerId timers_ = 0;
};

class Nobody final : public receiver::RequestListener {
 public:
  void on_open_decided(const receiver::Request& /*request*/, const Status& /*status*/) override {}
  void on_chunk_update(const receiver::Put& /*put*/, wire::ChunkUpdate /*update*/) override {}
};

std::size_t heap_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

class Table {
 public:
  explicit Table(std::uint32_t residents)
      : residents_(residents),
        buffer_(checked(RegisteredBuffer::create(kPageBytes, residents), "can't make a buffer")) {
    const std::size_t before = heap_bytes();
    pool_ = std::make_unique<receiver::ChunkPool>(*buffer_, residents, false);
    table_ =
        std::make_unique<receiver::RequestTable>(turns_, *pool_, config_, faults_, nobody_, [] {});
    for (std::uint32_t done = 0; done < residents; done += kBatch) {
      run(message({}, std::min(kBatch, residents - done)));
    }
    if (pool_->counts().retained != residents) {
      throw Failed("the index does not hold what was put into it");
    }
    bytes_each_ = static_cast<double>(heap_bytes() - before) / residents;
  }

  double bytes_each() const { return bytes_each_; }

  /// A put of half new and half resident keys, each taken from the answer to its commit and given
  /// back: nanoseconds a key.
  double ns_a_key(std::uint32_t puts) {
    double ns = 0;
    for (std::uint32_t i = 0; i < puts; ++i) {
      std::vector<std::string> hits;
      // Of those that came last: the oldest are about to be evicted.
      std::uniform_int_distribution<std::uint64_t> pick(next_key_ - residents_ / 2, next_key_ - 1);
      std::uint64_t hit = pick(random_);
      for (std::uint32_t k = 0; k < kBatch / 2; ++k) {
        hit = (hit - (next_key_ - residents_ / 2) + 7919) % (residents_ / 2) + next_key_ -
              residents_ / 2;
        hits.push_back(key(hit));
      }
      const wire::AllocRequest request = message(std::move(hits), kBatch / 2);
      const auto begun = Clock::now();
      run(request);
      ns += std::chrono::duration<double, std::nano>(Clock::now() - begun).count();
    }
    return ns / puts / kBatch;
  }

 private:
  static std::string key(std::uint64_t number) {
    return fmt::format("bench@1@0@{:x}@half",
                       (1ULL << 62U) + number * 0x9E3779B97F4A7C15U % (1ULL << 61U));
  }

  wire::AllocRequest message(std::vector<std::string> hits, std::uint32_t fresh) {
    wire::AllocRequest request;
    request.keys = std::move(hits);
    for (std::uint32_t i = 0; i < fresh; ++i) {
      request.keys.push_back(key(next_key_++));
    }
    const CacheLayout layout = layout_of(kPageBytes);
    request.shape = layout.full_chunk.shape;
    request.last_chunk_toks = static_cast<std::uint32_t>(*layout.full_chunk.tokens());
    const auto count = static_cast<std::uint32_t>(request.keys.size());
    request.async = {fmt::format("r-{}", ++puts_), true, count};
    request.baton = {{epoch_, epoch_}, puts_, puts_};
    return request;
  }

  /// Allocated, committed, and over: its chunks are retained.
  void run(const wire::AllocRequest& request) {
    const auto response = checked(table_->allocate(request, {}), "not admitted");
    pages_.clear();
    generations_.clear();
    for (std::size_t i = 0; i < response.remote_indexes.size(); ++i) {
      if (response.remote_indexes[i] >= 0) {
        pages_.push_back(static_cast<std::uint32_t>(response.remote_indexes[i]));
        generations_.push_back(response.baton->generations[i]);
      }
    }
    const receiver::Writer writer{epoch_, request.baton->put_id};
    const auto chunks = checked(table_->find_grants(writer, pages_, generations_), "no grants");
    table_->commit(writer, chunks);
    table_->end({epoch_, request.async->req_id, request.baton->attempt}, absl::OkStatus());
    turns_.run();
  }

  const std::uint32_t residents_;
  const Epoch epoch_ = Epoch::random();
  std::unique_ptr<RegisteredBuffer> buffer_;
  Turns turns_;
  Nobody nobody_;
  receiver::Config config_;
  receiver::FaultHooks faults_;
  std::unique_ptr<receiver::ChunkPool> pool_;
  std::unique_ptr<receiver::RequestTable> table_;
  std::mt19937_64 random_{1};
  std::uint64_t next_key_ = 0;
  std::uint64_t puts_ = 0;
  std::vector<std::uint32_t> pages_;
  std::vector<std::uint64_t> generations_;
  double bytes_each_ = 0;
};

class Index final : public Role {
 public:
  explicit Index(const Json& arguments) : table_(arguments.at("residents").get<std::uint32_t>()) {}

  Json started() override { return {{"bytes_each", table_.bytes_each()}}; }
  Json call(const std::string& op, const Json& arguments) override {
    if (op == "puts") {
      return {{"ns_a_key", table_.ns_a_key(arguments.at("times").get<std::uint32_t>())}};
    }
    throw Failed("an index knows no " + op);
  }

 private:
  Table table_;
};

}  // namespace

std::unique_ptr<Role> make_index(const Json& arguments) {
  return std::make_unique<Index>(arguments);
}

}  // namespace baton::bench
