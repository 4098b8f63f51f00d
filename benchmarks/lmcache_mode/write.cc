// The bare write of lmcache_mode: copies pages into another process's mapped memory on a thread of
// its own, as NIXL does it with a progress thread; the script asks how far it is.
//
// A C interface, for ctypes. One write at a time. Errors: nullptr or -1.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace {

std::byte* map_file(const char* path, std::size_t bytes) {
  const int fd = ::open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) {
    return nullptr;
  }
  void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  ::close(fd);
  return at == MAP_FAILED ? nullptr : static_cast<std::byte*>(at);
}

class Writer {
 public:
  Writer(std::byte* source, std::byte* target, std::size_t page_bytes)
      : source_(source), target_(target), page_bytes_(page_bytes), thread_([this] { run(); }) {}

  void start(const std::uint32_t* from, const std::uint32_t* to, std::size_t count) {
    from_.assign(from, from + count);
    to_.assign(to, to + count);
    state_.store(kInProgress);
    state_.notify_one();
  }
  bool done() const { return state_.load() == kDone; }

 private:
  enum State : int { kDone, kInProgress };

  [[noreturn]] void run() {
    while (true) {
      state_.wait(kDone);
      for (std::size_t i = 0; i < from_.size(); ++i) {
        std::memcpy(target_ + to_[i] * page_bytes_, source_ + from_[i] * page_bytes_, page_bytes_);
      }
      state_.store(kDone);
    }
  }

  std::byte* source_;
  std::byte* target_;
  std::size_t page_bytes_;
  std::vector<std::uint32_t> from_;
  std::vector<std::uint32_t> to_;
  std::atomic<int> state_ = kDone;
  std::thread thread_;  // ends with the process
};

}  // namespace

extern "C" {

/// Lives as long as the process.
void* baton_bench_writer(const char* source_path, std::size_t source_bytes, const char* target_path,
                         std::size_t target_bytes, std::size_t page_bytes) {
  std::byte* const source = map_file(source_path, source_bytes);
  std::byte* const target = map_file(target_path, target_bytes);
  if (source == nullptr || target == nullptr) {
    return nullptr;
  }
  return new Writer(source, target, page_bytes);
}

/// Pages by their numbers. Returns at once.
void baton_bench_write(void* writer, const std::uint32_t* from, const std::uint32_t* to,
                       std::size_t count) {
  static_cast<Writer*>(writer)->start(from, to, count);
}

/// 1 once it is done.
int baton_bench_written(void* writer) {
  return static_cast<Writer*>(writer)->done() ? 1 : 0;
}
}
