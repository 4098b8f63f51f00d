// What one key costs on the control path, part by part, without any socket; and what a resident
// chunk costs beyond its page.
//
// All in one process and one thread, on a clock that stands still. Rounds take turns over the parts
// and the pool sizes, so that what else the machine does hits all alike: read the ratios. Each
// figure is the median of its rounds.
#include <fmt/format.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "src/receiver/request_table.h"
#include "src/wire/codec.h"
#include "src/wire/reuse.h"
#include "tests/support/virtual_scheduler.h"

namespace baton::receiver {
namespace {

constexpr std::size_t kPageBytes = 64;  // The smallest: no byte of it is touched.
const std::vector<std::int64_t> kShape{2, 1, 4, 4};

[[noreturn]] void give_up(std::string_view why) {
  std::cerr << why << "\n";
  std::exit(1);
}

std::string key_of(std::uint64_t number) {
  // Two multiplications, so that the hash is as long and as random as a real one.
  return fmt::format("meta-llama/Llama-3.3-70B-Instruct-AWQ-INT4@8@0@{:x}{:016x}@bfloat16",
                     (number + 1) * 0x9E3779B97F4A7C15U | 1ULL << 63U,
                     (number + 7) * 0xD6E8FEB86659FD93U);
}

std::vector<std::string> keys_of(const std::vector<std::uint64_t>& numbers) {
  std::vector<std::string> keys;
  for (const std::uint64_t number : numbers) {
    keys.push_back(key_of(number));
  }
  return keys;
}

std::vector<std::uint64_t> numbers_from(std::uint64_t first, std::size_t count) {
  std::vector<std::uint64_t> numbers(count);
  for (std::uint64_t& number : numbers) {
    number = first++;
  }
  return numbers;
}

wire::AllocRequest request_for(const std::vector<std::string>& keys, std::uint64_t put_id) {
  wire::AllocRequest request;
  request.keys = {keys.begin(), keys.end()};
  request.shape = kShape;
  request.dtype = DType::kBfloat16;
  request.last_chunk_toks = 4;
  request.async = {fmt::format("req-{}", put_id), true, static_cast<std::uint32_t>(keys.size())};
  request.baton = {{Epoch{{1}}, Epoch{{2}}}, put_id, put_id};
  return request;
}

class Silent final : public RequestListener {
 public:
  void on_open_decided(const Request& /*request*/, const Status& /*status*/) override {}
  void on_chunk_update(const Put& /*put*/, wire::ChunkUpdate /*update*/) override {}
};

/// A receiver's index with `residents` retained chunks (numbers 0 …), and room for one put more.
class Index {
 public:
  Index(std::uint32_t residents, std::uint32_t spare)
      : residents_(residents), buffer_(make_buffer(residents + spare)) {
    const std::size_t before = bytes_in_use();
    pool_ = std::make_unique<ChunkPool>(*buffer_, residents + spare, false);
    table_ = std::make_unique<RequestTable>(scheduler_, *pool_, config_, faults_, silent_, [] {});
    for (std::uint32_t first = 0; first < residents; first += 1'000) {
      const auto count = std::min(1'000U, residents - first);
      const wire::AllocRequest request =
          request_for(keys_of(numbers_from(first, count)), ++next_id_);
      commit(request, allocate(request));
      end(request);
    }
    malloc_trim(0);
    bytes_per_resident_ = static_cast<double>(bytes_in_use() - before) / residents;
    if (pool_->counts().retained != residents) {
      give_up("the index was not filled");
    }
  }

  std::uint64_t next_put_id() { return ++next_id_; }
  std::uint32_t residents() const { return residents_; }
  double bytes_per_resident() const { return bytes_per_resident_; }

  wire::AllocResponse allocate(const wire::AllocRequest& request) {
    auto response = table_->allocate(request, "baton-benchmark");
    if (!response.ok()) {
      give_up(std::string(response.status().message()));
    }
    return *std::move(response);
  }

  void commit(const wire::AllocRequest& request, const wire::AllocResponse& response) {
    const Writer writer = writer_of(request);
    std::vector<std::uint32_t> pages;
    std::vector<std::uint64_t> generations;
    granted(response, pages, generations);
    const auto chunks = table_->find_grants(writer, pages, generations);
    table_->commit(writer, *chunks);
  }

  void end(const wire::AllocRequest& request) {
    table_->end(
        {request.baton->parties.sender_epoch, request.async->req_id, request.baton->attempt},
        absl::OkStatus());
    scheduler_.run_ready();
  }

  /// Ends it, and gives back the pages that it was granted.
  void take_back(const wire::AllocRequest& request, const wire::AllocResponse& response) {
    end(request);
    std::vector<std::uint32_t> pages;
    std::vector<std::uint64_t> generations;
    granted(response, pages, generations);
    table_->drain(writer_of(request), pages, generations);
    scheduler_.run_ready();
  }

 private:
  static Writer writer_of(const wire::AllocRequest& request) {
    return {request.baton->parties.sender_epoch, request.baton->put_id};
  }

  static void granted(const wire::AllocResponse& response, std::vector<std::uint32_t>& pages,
                      std::vector<std::uint64_t>& generations) {
    for (std::size_t i = 0; i < response.remote_indexes.size(); ++i) {
      if (response.remote_indexes[i] >= 0) {
        pages.push_back(static_cast<std::uint32_t>(response.remote_indexes[i]));
        generations.push_back(response.baton->generations[i]);
      }
    }
  }

  static std::unique_ptr<RegisteredBuffer> make_buffer(std::uint32_t pages) {
    auto buffer = RegisteredBuffer::create(kPageBytes, pages);
    if (!buffer.ok()) {
      give_up(std::string(buffer.status().message()));
    }
    return *std::move(buffer);
  }

  /// Of the heap, its own overhead included.
  static std::size_t bytes_in_use() {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  }

  const std::uint32_t residents_;
  std::unique_ptr<RegisteredBuffer> buffer_;
  testing::VirtualScheduler scheduler_;
  Config config_;
  Silent silent_;
  std::unique_ptr<ChunkPool> pool_;
  FaultHooks faults_;
  std::unique_ptr<RequestTable> table_;
  std::uint64_t next_id_ = 0;
  double bytes_per_resident_ = 0;
};

/// Nanoseconds of processor time a key, by what was measured.
class Figures {
 public:
  template <typename Work>
  auto time(const std::string& name, std::size_t keys, Work work) {
    const double begin = processor_ns();
    auto result = work();
    rounds_[name].push_back((processor_ns() - begin) / static_cast<double>(keys));
    return result;
  }

  double median(const std::string& name) {
    std::vector<double>& rounds = rounds_.at(name);
    const auto middle = rounds.begin() + static_cast<std::ptrdiff_t>(rounds.size() / 2);
    std::nth_element(rounds.begin(), middle, rounds.end());
    return *middle;
  }

  void print() {
    for (const auto& [name, rounds] : rounds_) {
      std::cout << fmt::format("{:<44} {:8.1f} ns a key\n", name, median(name));
    }
  }

 private:
  /// Of this thread, so that whoever else runs meanwhile doesn't count.
  static double processor_ns() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
  }

  std::map<std::string, std::vector<double>> rounds_;
};

wire::Message decoded(const std::string& bytes) {
  auto message = wire::decode(bytes, {});
  if (!message.ok()) {
    give_up(std::string(message.status().message()));
  }
  return *std::move(message);
}

/// One put of `keys`, from the message to its answer.
void run_put(Index& index, const std::vector<std::string>& keys, const std::string& what,
             Figures& figures) {
  const std::uint64_t id = index.next_put_id();
  const std::string suffix = fmt::format(" {:>4} keys", keys.size());
  const wire::Message asked = request_for(keys, id);
  auto encoded = figures.time("request, encode" + suffix, keys.size(),
                              [&] { return std::make_unique<wire::Encoded>(asked); });
  const std::string bytes(encoded->bytes());
  encoded.reset();  // What the next message is encoded into.
  wire::Message heard_message = figures.time("request, decode and check" + suffix, keys.size(),
                                             [&] { return decoded(bytes); });
  const auto& heard = std::get<wire::AllocRequest>(heard_message);
  const wire::AllocResponse response = figures.time(
      fmt::format("allocate, {:<6}{}, {:>7} resident", what, suffix, index.residents()),
      keys.size(), [&] { return index.allocate(heard); });
  const wire::Message answered = response;
  const auto answer_encoded =
      figures.time(fmt::format("answer, {:<6} encode{}", what, suffix), keys.size(),
                   [&] { return std::make_unique<wire::Encoded>(answered); });
  const std::string answer(answer_encoded->bytes());
  const auto told = figures.time(fmt::format("answer, {:<6} decode{}", what, suffix), keys.size(),
                                 [&] { return wire::decode(answer, {}); });
  if (!told.ok() || std::get<wire::AllocResponse>(*told) != response) {
    give_up("the answer came back changed");
  }
  index.take_back(heard, response);
  wire::recycle(std::move(heard_message));
}

/// Distinct numbers below `limit`, in random order: as many as it is asked for, if there are.
std::vector<std::uint64_t> pick(std::mt19937_64& random, std::uint64_t limit, std::size_t count) {
  std::map<std::uint64_t, bool> taken;
  std::vector<std::uint64_t> numbers;
  while (numbers.size() < count) {
    const std::uint64_t number = random() % limit;
    if (taken.emplace(number, true).second) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

int run(std::vector<std::uint32_t> sizes, int rounds) {
  constexpr std::size_t kFew = 512;
  constexpr std::size_t kMany = 4'096;
  std::vector<std::unique_ptr<Index>> indexes;
  for (const std::uint32_t residents : sizes) {
    indexes.push_back(std::make_unique<Index>(residents, kMany));
    std::cout << fmt::format("{:>7} resident: {:.0f} bytes each, of {} pages\n", residents,
                             indexes.back()->bytes_per_resident(), residents + kMany);
  }
  Figures figures;
  std::mt19937_64 random(1);
  std::uint64_t fresh = 1ULL << 32U;
  for (int round = 0; round < rounds; ++round) {
    for (const std::size_t count : {kFew, kMany}) {
      for (const auto& index : indexes) {
        const auto misses = numbers_from(fresh, count);
        fresh += count;
        run_put(*index, keys_of(misses), "misses", figures);
        if (index->residents() < count) {
          continue;
        }
        const auto hits = pick(random, index->residents(), count);
        run_put(*index, keys_of(hits), "hits", figures);
        std::vector<std::uint64_t> mixed = hits;
        for (std::size_t i = 0; i < count; i += 2) {
          mixed[i] = misses[i];
        }
        run_put(*index, keys_of(mixed), "mixed", figures);
      }
    }
  }
  figures.print();
  const auto flat = [&](const std::string& what) {
    const auto cost = [&](std::uint32_t residents) {
      return figures.median(
          fmt::format("allocate, {:<6} {:>4} keys, {:>7} resident", what, kFew, residents));
    };
    return cost(sizes.front()) / cost(sizes.back());
  };
  for (const char* what : {"misses", "hits", "mixed"}) {
    std::cout << fmt::format("allocate, {:<6} {} resident : {} resident = {:.2f}\n", what,
                             sizes.front(), sizes.back(), flat(what));
  }
  return 0;
}

}  // namespace
}  // namespace baton::receiver

int main(int argc, char** argv) {
  CLI::App app("What one key costs on the control path");
  std::vector<std::uint32_t> sizes{1'000, 100'000, 1'000'000};
  int rounds = 31;
  app.add_option("--residents", sizes, "Resident chunks, at least 512 each");
  app.add_option("--rounds", rounds, "Rounds")->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  return baton::receiver::run(sizes, rounds);
}
