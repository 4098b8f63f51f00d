// What a peer costs over a data transport: to connect it, to keep it, and to fence it.
//
// One receiver and its writers in one process, on one loop. Fence: from revoke() to its proof, with
// the writer idle, and in the middle of writing. For ucx set BATON_TEST_UCX_DEVICES (two devices of
// one network) or run it in the machine of `make rdma-test`.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/node.h"

namespace baton::conformance {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPageBytes = 64U << 10U;
constexpr std::uint32_t kPageCount = 16;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values.empty() ? 0 : values[values.size() / 2];
}

/// A line of /proc/self/status, in KiB.
std::uint64_t status_kib(const std::string& name) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word == name + ":") {
      std::uint64_t kib = 0;
      status >> kib;
      return kib;
    }
  }
  return 0;
}

/// Of one core, while nothing is to be done.
double idle_cpu_percent() {
  constexpr std::chrono::seconds kIdle{2};
  const auto cpu_seconds = [] {
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
  };
  const double before = cpu_seconds();
  std::this_thread::sleep_for(kIdle);
  return 100 * (cpu_seconds() - before) / static_cast<double>(kIdle.count());
}

class Bench {
 public:
  Bench(const Maker& maker, std::size_t writers) : world_(maker.make()), receiver_(make_node()) {
    for (std::size_t i = 0; i < writers; ++i) {
      make_node();
    }
    world_->driver().run([this] {
      for (std::uint32_t page = 0; page < kPageCount; ++page) {
        receiver_->grants().grant(page, 1);
      }
    });
  }
  ~Bench() {
    for (const auto& node : nodes_) {
      node->close();
    }
    world_->driver().stop();
    for (const auto& node : nodes_) {
      node->transport().join();
    }
  }
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;

  /// Milliseconds, or nothing if it failed.
  bool connect(std::size_t index, double& connect_ms) {
    Node* const writer = nodes_[index + 1].get();
    const auto start = Clock::now();
    const auto ticket = receiver_->expect(writer->id());
    const ReceiptPtr connected = writer->connect(receiver_->id(), ticket.value_or(""));
    const bool fine = await(connected) && connected->status.ok();
    connect_ms = ms_since(start);
    return fine;
  }

  bool fence(std::size_t writer, bool in_the_middle, double& fence_ms) {
    Node& node = *nodes_[writer + 1];
    if (in_the_middle) {
      std::vector<ReceiptPtr> batches;
      world_->driver().run([&] { batches = node.write_on_loop(receiver_->id(), 64); });
      if (!await(batches.front())) {
        return false;
      }
    }
    const auto start = Clock::now();
    const bool fine = await(receiver_->revoke(node.id()));
    fence_ms = ms_since(start);
    return fine;
  }

 private:
  Node* make_node() {
    nodes_.push_back(std::make_unique<Node>(*world_, kPageBytes, kPageCount));
    return nodes_.back().get();
  }
  bool await(const ReceiptPtr& receipt) {
    return world_->driver().run_until([&] { return receipt->fired > 0; });
  }

  std::unique_ptr<TransportUnderTest> world_;
  std::vector<std::unique_ptr<Node>> nodes_;
  Node* receiver_;
};

int run(const Maker& maker, std::size_t peers) {
  Bench bench(maker, peers);
  std::vector<double> connects;
  std::vector<double> idle;
  std::vector<double> writing;
  const std::uint64_t rss_before = status_kib("VmRSS");
  for (std::size_t i = 0; i < peers; ++i) {
    if (!bench.connect(i, connects.emplace_back())) {
      fmt::print(stderr, "baton-fence: peer {} of {} can't connect\n", i + 1, peers);
      return 1;
    }
  }
  const std::uint64_t rss_after = status_kib("VmRSS");
  const double idle_percent = idle_cpu_percent();
  for (std::size_t i = 0; i < peers; ++i) {
    std::vector<double>& times = i % 2 == 0 ? idle : writing;
    if (!bench.fence(i, i % 2 == 1, times.emplace_back())) {
      fmt::print(stderr, "baton-fence: peer {} of {} can't be fenced\n", i + 1, peers);
      return 1;
    }
  }
  fmt::print(
      "transport={} peers={} connect_ms={:.2f} fence_idle_ms={:.2f} fence_writing_ms={:.2f} "
      "fence_max_ms={:.2f} both_ends_kib_per_peer={} idle_cpu_percent={:.2f}\n",
      maker.name, peers, median(connects), median(idle), median(writing),
      std::max(*std::max_element(idle.begin(), idle.end()),
               writing.empty() ? 0 : *std::max_element(writing.begin(), writing.end())),
      (rss_after - std::min(rss_before, rss_after)) / peers, idle_percent);
  return 0;
}

}  // namespace
}  // namespace baton::conformance

int main(int argc, char** argv) {
  std::string transport = "ucx";
  std::size_t peers = 16;
  CLI::App app("Measures what a peer costs: to connect, to keep, to fence.", "baton-fence");
  app.footer("Example:\n  BATON_TEST_UCX_DEVICES=\"mlx5_0:1 mlx5_1:1\" baton-fence --peers 16");
  app.add_option("--transport", transport, "shm, tcp, ucx or nixl")
      ->check(CLI::IsMember({"shm", "tcp", "ucx", "nixl"}))
      ->capture_default_str();
  app.add_option("--peers", peers, "Writers")->check(CLI::Range(1, 256))->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  for (const auto& maker : baton::conformance::transports_under_test()) {
    if (maker.name == transport) {
      return baton::conformance::run(maker, peers);
    }
  }
  return 2;
}
