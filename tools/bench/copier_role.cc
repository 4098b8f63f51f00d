// One thread that copies between two cold buffers, the second of another process.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "src/base/digest.h"
#include "src/memory/registered_buffer.h"
#include "tools/bench/chunks.h"
#include "tools/bench/failed.h"
#include "tools/bench/json_pipe.h"
#include "tools/bench/nt_copy.h"
#include "tools/bench/role.h"
#include "tools/bench/shared_memory.h"
#include "tools/bench/stats.h"

namespace baton::bench {
namespace {

class Copier final : public Role {
 public:
  explicit Copier(const Json& arguments)
      : chunk_bytes_(arguments.at("chunk_bytes").get<std::size_t>()),
        source_(checked(
            RegisteredBuffer::create(chunk_bytes_, arguments.at("chunks").get<std::uint32_t>()),
            "can't make a buffer")),
        target_(arguments.at("target")) {
    fill({source_->data(), source_->size_bytes()}, 7);
    choose();
  }

  Json started() override { return {{"nt_kernel", streaming_->name}, {"kernels_gbps", rates_}}; }

  Json call(const std::string& op, const Json& arguments) override {
    const auto chunks = arguments.at("chunks").get<std::uint32_t>();
    if (op == "nt_copy") {
      return {{"us", copy_us(*streaming_, chunks)}};
    }
    if (op == "memcpy") {
      return {{"us", copy_us(copy_kernels().front(), chunks)}};
    }
    if (op == "digest") {
      return {{"us", digest_us(chunks)}, {"digest", digest_}};
    }
    if (op == "verified_copy") {
      return {{"us", verified_copy_us(chunks)}, {"digest", digest_}};
    }
    throw Failed("a copier knows no " + op);
  }

 private:
  /// The fastest of the streaming kernels on these very buffers; memcpy where there is none.
  void choose() {
    constexpr int kTries = 5;
    const std::uint32_t chunks = std::max(1U, source_->page_count() / 4);
    double best = 0;
    for (const CopyKernel& kernel : copy_kernels()) {
      std::vector<double> us;
      us.reserve(kTries);
      for (int i = 0; i < kTries; ++i) {
        us.push_back(copy_us(kernel, chunks));
      }
      const double gbps = static_cast<double>(chunks * chunk_bytes_) / median(us) / 1e3;
      rates_[std::string(kernel.name)] = gbps;
      const bool streams = &kernel != &copy_kernels().front();
      if (streaming_ == nullptr || (streams && gbps > best)) {
        streaming_ = &kernel;
        best = streams ? gbps : 0;
      }
    }
  }

  std::span<std::byte> target_page(std::uint32_t page) const {
    return target_.bytes().subspan(page * chunk_bytes_, chunk_bytes_);
  }
  void copy_next(const CopyKernel& kernel) {
    const std::uint32_t page = next_++ % source_->page_count();
    kernel.copy(target_page(page).data(), source_->page(page).data(), chunk_bytes_);
  }

  double copy_us(const CopyKernel& kernel, std::uint32_t chunks) {
    const auto begun = Clock::now();
    for (std::uint32_t i = 0; i < chunks; ++i) {
      copy_next(kernel);
    }
    return std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
  }

  /// A second thread reads each chunk as soon as it is there, and digests it.
  double verified_copy_us(std::uint32_t chunks) {
    const std::uint32_t first = next_;
    std::atomic<std::uint32_t> copied = 0;
    const auto begun = Clock::now();
    std::thread verifier([&] {
      for (std::uint32_t i = 0; i < chunks; ++i) {
        for (std::uint32_t seen = copied.load(); seen <= i; seen = copied.load()) {
          copied.wait(seen);
        }
        digest_ ^= digest_of(target_page((first + i) % source_->page_count()));
      }
    });
    for (std::uint32_t i = 0; i < chunks; ++i) {
      copy_next(*streaming_);
      copied.store(i + 1);
      copied.notify_one();
    }
    verifier.join();
    return std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
  }

  double digest_us(std::uint32_t chunks) {
    const auto begun = Clock::now();
    for (std::uint32_t i = 0; i < chunks; ++i) {
      digest_ ^= digest_of(source_->page(next_++ % source_->page_count()));
    }
    return std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
  }

  std::size_t chunk_bytes_;
  std::unique_ptr<RegisteredBuffer> source_;
  SharedMemory target_;
  const CopyKernel* streaming_ = nullptr;
  Json rates_ = Json::object();
  std::uint32_t next_ = 0;
  std::uint64_t digest_ = 0;  // so that nobody optimises the hashing away
};

}  // namespace

std::unique_ptr<Role> make_copier(const Json& arguments) {
  return std::make_unique<Copier>(arguments);
}

}  // namespace baton::bench
