// How fast one thread copies cold bytes, hashes them, and does both, and how much faster two do:
// the kernels of the shm transport beside what they could be instead.
//
// All take turns, so that what else the machine does hits all alike: read the ratios. Two clocks:
// the wall's, and the processor time of all threads, which leaves out the turns that others got.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "src/base/copy_kernel.h"
#include "src/base/digest.h"
#include "src/transport/shm/digesting_copy.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace baton::transport::shm {
namespace {

double seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::byte* map_shared(std::size_t bytes) {
  const int fd = memfd_create("baton-copy", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) {
    std::cerr << "no memory file of " << bytes << " bytes\n";
    std::exit(1);
  }
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  close(fd);
  if (address == MAP_FAILED) {
    std::cerr << "can't map " << bytes << " bytes\n";
    std::exit(1);
  }
  return static_cast<std::byte*>(address);
}

/// The reference: nothing but loads and stores past the cache.
#if defined(__x86_64__)
__attribute__((target("avx2"))) void nt_copy(std::byte* to, const std::byte* from,
                                             std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; i += sizeof(__m256i)) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(to + i),
                        _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + i)));
  }
}
#else
void nt_copy(std::byte* to, const std::byte* from, std::size_t bytes) {
  std::memcpy(to, from, bytes);
}
#endif

std::uint64_t digesting(DigestKind kind, std::byte* to, const std::byte* from, std::size_t bytes) {
  DigestingCopy copy(to, from, bytes, kind);
  while (copy.left_bytes() > 0) {
    copy.advance(std::size_t{256} << 10U);
  }
  return copy.digest();
}

struct Case {
  std::string name;
  std::function<std::uint64_t(std::byte* to, const std::byte* from, std::size_t bytes)> run;
  bool two_threads = false;
  std::vector<double> wall{};
  std::vector<double> cpu{};
};

constexpr std::size_t kCopyBulk = 2;
constexpr std::size_t kHashOnly = 3;

std::vector<Case> cases() {
  const auto no_digest = [](auto copy) {
    return [copy](std::byte* to, const std::byte* from, std::size_t bytes) {
      copy(to, from, bytes);
      return std::uint64_t{0};
    };
  };
  std::vector<Case> all;
  all.push_back({"nt_copy", no_digest(nt_copy)});
  all.push_back({"memcpy", no_digest([](std::byte* to, const std::byte* from, std::size_t bytes) {
                   std::memcpy(to, from, bytes);
                 })});
  all.push_back({"copy_bulk", no_digest(copy_bulk)});
  all.push_back({"hash only", [](std::byte* /*to*/, const std::byte* from, std::size_t bytes) {
                   return digest_of({from, bytes});
                 }});
  all.push_back(
      {"hash whole chunk, then copy", [](std::byte* to, const std::byte* from, std::size_t bytes) {
         const std::uint64_t digest = digest_of({from, bytes});
         copy_bulk(to, from, bytes);
         return digest;
       }});
  const std::vector<std::string> names{"digesting, by library", "digesting, AVX2",
                                       "digesting, AVX-512"};
  for (const DigestKind kind : supported_digest_kinds()) {
    all.push_back({names.at(static_cast<std::size_t>(kind)),
                   [kind](std::byte* to, const std::byte* from, std::size_t bytes) {
                     return digesting(kind, to, from, bytes);
                   }});
  }
  for (Case two : {all[0], all[kCopyBulk], all.back()}) {
    two.name += ", 2 threads";
    two.two_threads = true;
    all.push_back(std::move(two));
  }
  return all;
}

/// Each thread takes the next chunk that is left. The sum of the digests.
std::uint64_t copy_all(const Case& one, std::byte* to, const std::byte* from,
                       std::size_t total_bytes, std::size_t chunk_bytes) {
  std::atomic<std::size_t> next = 0;
  std::atomic<std::uint64_t> sum = 0;
  const auto work = [&] {
    std::uint64_t mine = 0;
    for (std::size_t at = next.fetch_add(chunk_bytes); at < total_bytes;
         at = next.fetch_add(chunk_bytes)) {
      mine += one.run(to + at, from + at, chunk_bytes);
    }
    publish_stores();
    sum += mine;
  };
  std::thread second;
  if (one.two_threads) {
    second = std::thread(work);
  }
  work();
  if (second.joinable()) {
    second.join();
  }
  return sum;
}

void run(std::size_t total_bytes, std::size_t chunk_bytes, int rounds) {
  std::byte* const from = map_shared(total_bytes);
  std::byte* const to = map_shared(total_bytes);
  for (std::size_t i = 0; i < total_bytes; i += sizeof(std::uint64_t)) {
    const std::uint64_t word = (i + 1) * 0x9E3779B97F4A7C15;
    std::memcpy(from + i, &word, sizeof(word));
  }
  std::memset(to, 1, total_bytes);
  std::vector<Case> all = cases();
  std::vector<std::uint64_t> sums(all.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < all.size(); ++i) {
      const double wall = seconds(CLOCK_MONOTONIC);
      const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
      sums[i] += copy_all(all[i], to, from, total_bytes, chunk_bytes);
      all[i].wall.push_back(seconds(CLOCK_MONOTONIC) - wall);
      all[i].cpu.push_back(seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    }
  }
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (sums[i] != 0 && sums[i] != sums[kHashOnly]) {
      std::cerr << all[i].name << " gives another digest than the library\n";
      std::exit(1);
    }
  }
  fmt::print("{} MiB in chunks of {} KiB, {} rounds, medians\n", total_bytes >> 20U,
             chunk_bytes >> 10U, rounds);
  fmt::print("{:<32}  {:>10} {:>7} {:>7}  {:>14} {:>7}\n", "", "GB/s", "ratio", "best",
             "GB per CPU s", "ratio");
  const auto gigabytes = static_cast<double>(total_bytes) / 1e9;
  const double reference_wall = median(all[0].wall);
  const double reference_cpu = median(all[0].cpu);
  for (const Case& one : all) {
    const double wall = median(one.wall);
    const double cpu = median(one.cpu);
    const double best = *std::min_element(one.wall.begin(), one.wall.end());
    fmt::print("{:<32}  {:>10.2f} {:>7.3f} {:>7.2f}  {:>14.2f} {:>7.3f}\n", one.name,
               gigabytes / wall, reference_wall / wall, gigabytes / best, gigabytes / cpu,
               reference_cpu / cpu);
  }
}

}  // namespace
}  // namespace baton::transport::shm

int main(int argc, char** argv) {
  CLI::App app("Times copying, hashing, and both in one, of cold bytes, on one thread and on two.");
  std::size_t mib = 1024;
  std::size_t chunk_kib = 1024;
  int rounds = 15;
  app.add_option("--mib", mib, "Bytes a side")->check(CLI::Range(1, 65536));
  app.add_option("--chunk-kib", chunk_kib, "Of each chunk; divides --mib")
      ->check(CLI::Range(1, 65536));
  app.add_option("--rounds", rounds)->check(CLI::Range(1, 1000));
  CLI11_PARSE(app, argc, argv);
  if ((mib << 10U) % chunk_kib != 0) {
    std::cerr << "--chunk-kib must divide --mib\n";
    return 1;
  }
  baton::transport::shm::run(mib << 20U, chunk_kib << 10U, rounds);
  return 0;
}
