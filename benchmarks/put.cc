// How long a put takes, and how fast bytes travel, over each transport: two processes each, one
// run.
//
// All transports take turns at every size, so that what else the machine does hits all alike: read
// the ratios. Over TCP, ucx and nixl need no RDMA here. Idle: processor time of both processes
// while the connection is open and nothing is put.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/node.h"
#include "tests/conformance/peer_process.h"

namespace baton::conformance {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPageBytes = 1U << 20U;
constexpr std::uint32_t kPageCount = 64;
constexpr std::chrono::seconds kIdle{2};

/// A child that answers lines with lines.
class Child {
 public:
  explicit Child(const std::function<std::string(const std::string&)>& answer) {
    int down[2];
    int up[2];
    if (pipe(down) != 0 || pipe(up) != 0) {
      std::abort();
    }
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(down[1]);
      close(up[0]);
      serve(down[0], up[1], answer);
    }
    close(down[0]);
    close(up[1]);
    commands_ = down[1];
    answers_ = fdopen(up[0], "r");
  }
  ~Child() {
    close(commands_);
    fclose(answers_);
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  std::string ask(const std::string& command) {
    const std::string line = command + "\n";
    if (write(commands_, line.data(), line.size()) < 0) {
      std::abort();
    }
    std::string answer;
    for (int c = fgetc(answers_); c != '\n'; c = fgetc(answers_)) {
      if (c == EOF) {
        std::cerr << "a process of the benchmark ended\n";
        std::exit(1);
      }
      answer += static_cast<char>(c);
    }
    return answer;
  }

  double cpu_seconds() const {
    std::ifstream stat(fmt::format("/proc/{}/stat", pid_));
    std::string text;
    std::getline(stat, text);
    std::istringstream fields(text.substr(text.rfind(')') + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) {
      fields >> skipped;
    }
    double user = 0;
    double system = 0;
    fields >> user >> system;
    return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
  }

 private:
  [[noreturn]] static void serve(int commands, int answers,
                                 const std::function<std::string(const std::string&)>& answer) {
    FILE* const lines = fdopen(commands, "r");
    char* line = nullptr;
    std::size_t room = 0;
    while (getline(&line, &room, lines) > 0) {
      const std::string text = answer(std::string(line)) + "\n";
      if (write(answers, text.data(), text.size()) < 0) {
        break;
      }
    }
    _exit(0);
  }

  pid_t pid_ = -1;
  int commands_ = -1;
  FILE* answers_ = nullptr;
};

/// What each child does; made on its first command, after the fork.
class Side {
 public:
  explicit Side(Maker maker) : maker_(std::move(maker)) {}

  std::string answer(const std::string& command) {
    if (node_ == nullptr) {
      world_ = maker_.make();
      node_ = std::make_unique<Node>(*world_, kPageBytes, kPageCount);
      fill({node_->buffer().data(), node_->buffer().size_bytes()}, 1);
    }
    std::istringstream words(command);
    std::string what;
    std::string peer_hex;
    words >> what;
    if (what == "id") {
      return node_->id().hex();
    }
    words >> peer_hex;
    const transport::PeerId peer = *Epoch::from_bytes(from_hex(peer_hex));
    if (what == "expect") {
      world_->driver().run([this] {
        for (std::uint32_t page = 0; page < kPageCount; ++page) {
          node_->grants().grant(page, 1);
        }
      });
      return to_hex(*node_->expect(peer));
    }
    if (what == "connect") {
      std::string ticket;
      words >> ticket;
      const ReceiptPtr receipt = node_->connect(peer, from_hex(ticket));
      world_->driver().run_until([&] { return receipt->fired > 0; });
      return std::string(absl::StatusCodeToString(receipt->status.code()));
    }
    std::size_t bytes = 0;
    words >> bytes;
    return fmt::format("{:.3f}", put_us(peer, bytes));
  }

 private:
  /// One put of `bytes`, in microseconds, timed on the loop.
  double put_us(const transport::PeerId& peer, std::size_t bytes) {
    std::vector<transport::WriteOp> ops;
    for (std::uint32_t page = 0; bytes > 0; ++page) {
      const std::size_t part = std::min(bytes, kPageBytes);
      ops.push_back(node_->op(page, 1, 0, part));
      bytes -= part;
    }
    Clock::time_point start;
    Clock::time_point end;
    bool done = false;
    world_->driver().run([&] {
      start = Clock::now();
      node_->transport().write_batch(peer, ops, [&](const Status& status) {
        if (!status.ok()) {
          std::cerr << status << "\n";
          _exit(1);
        }
        end = Clock::now();
        done = true;
        world_->driver().changed();
      });
    });
    world_->driver().run_until([&] { return done; });
    return std::chrono::duration<double, std::micro>(end - start).count();
  }

  Maker maker_;
  std::unique_ptr<TransportUnderTest> world_;
  std::unique_ptr<Node> node_;
};

struct Pair {
  explicit Pair(const Maker& maker)
      : name(maker.name),
        receiver([side = std::make_shared<Side>(maker)](const auto& c) { return side->answer(c); }),
        writer([side = std::make_shared<Side>(maker)](const auto& c) { return side->answer(c); }) {}

  void connect() {
    receiver_id = receiver.ask("id");
    const std::string ticket = receiver.ask("expect " + writer.ask("id"));
    if (const std::string code = writer.ask("connect " + receiver_id + " " + ticket);
        code != "OK") {
      std::cerr << name << ": can't connect: " << code << "\n";
      std::exit(1);
    }
  }

  double put_us(std::size_t bytes) {
    return std::stod(writer.ask(fmt::format("put {} {}", receiver_id, bytes)));
  }

  double idle_percent() {
    const double before = writer.cpu_seconds() + receiver.cpu_seconds();
    std::this_thread::sleep_for(kIdle);
    return 100 * (writer.cpu_seconds() + receiver.cpu_seconds() - before) /
           static_cast<double>(kIdle.count());
  }

  std::string name;
  Child receiver;
  Child writer;
  std::string receiver_id;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void run(const std::vector<std::string>& wanted, const std::vector<std::size_t>& kib, int rounds) {
  std::vector<std::unique_ptr<Pair>> pairs;
  for (const std::string& name : wanted) {
    for (const Maker& maker : transports_under_test()) {
      if (maker.name == name) {
        pairs.push_back(std::make_unique<Pair>(maker));
      }
    }
  }
  for (const auto& pair : pairs) {
    pair->connect();
  }
  fmt::print("{:>10}", "KiB");
  for (const auto& pair : pairs) {
    fmt::print("  {:>30}", pair->name);
  }
  fmt::print("\n");
  for (const std::size_t size : kib) {
    std::vector<std::vector<double>> times(pairs.size());
    for (int round = 0; round < rounds + 2; ++round) {
      for (std::size_t i = 0; i < pairs.size(); ++i) {
        const double us = pairs[i]->put_us(size << 10U);
        if (round >= 2) {  // the first warm up
          times[i].push_back(us);
        }
      }
    }
    const double reference = median(times[0]);
    fmt::print("{:>10}", size);
    for (const auto& of_one : times) {
      const double us = median(of_one);
      fmt::print("  {:>9.0f} us {:>6.2f} GB/s {:>5.2f}x", us,
                 static_cast<double>(size << 10U) / us / 1e3, reference / us);
    }
    fmt::print("\n");
  }
  fmt::print("{:>10}", "idle CPU");
  for (const auto& pair : pairs) {
    fmt::print("  {:>28.2f} %", pair->idle_percent());
  }
  fmt::print("\n");
}

}  // namespace
}  // namespace baton::conformance

int main(int argc, char** argv) {
  CLI::App app("Times puts between two processes over each transport; speeds beside the first.");
  std::vector<std::string> transports = {"tcp", "shm", "ucx", "nixl"};
  std::vector<std::size_t> kib = {64, 256, 1024, 4096, 16384, 65536};
  int rounds = 21;
  app.add_option("--transports", transports, "tcp,shm,ucx,nixl; those that were built")
      ->delimiter(',');
  app.add_option("--kib", kib, "Sizes of puts, at most 65536")
      ->delimiter(',')
      ->check(CLI::Range(1, 65536));
  app.add_option("--rounds", rounds, "Puts of each size")->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);
  setenv("BATON_LOG", "error", 0);
  baton::conformance::run(transports, kib, rounds);
  return 0;
}
