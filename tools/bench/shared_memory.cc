#include "tools/bench/shared_memory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "src/base/unique_fd.h"
#include "src/memory/registered_buffer.h"
#include "tools/bench/chunks.h"
#include "tools/bench/failed.h"
#include "tools/bench/role.h"

namespace baton::bench {
namespace {

class Memory final : public Role {
 public:
  explicit Memory(const Json& arguments)
      : buffer_(checked(RegisteredBuffer::create(arguments.at("chunk_bytes").get<std::size_t>(),
                                                 arguments.at("chunks").get<std::uint32_t>()),
                        "can't make a buffer")) {
    fill({buffer_->data(), buffer_->size_bytes()}, 99);
  }
  Json started() override {
    return {{"pid", ::getpid()}, {"fd", buffer_->memfd()}, {"bytes", buffer_->size_bytes()}};
  }
  Json call(const std::string& op, const Json& /*arguments*/) override {
    throw Failed("a memory knows no " + op);
  }

 private:
  std::unique_ptr<RegisteredBuffer> buffer_;
};

}  // namespace

SharedMemory::SharedMemory(const Json& offer) {
  const auto path =
      fmt::format("/proc/{}/fd/{}", offer.at("pid").get<int>(), offer.at("fd").get<int>());
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!fd) {
    throw Failed(fmt::format("can't open {}: {}", path, std::strerror(errno)));
  }
  const auto size = offer.at("bytes").get<std::size_t>();
  void* const at =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd.get(), 0);
  if (at == MAP_FAILED) {
    throw Failed(fmt::format("can't map {} bytes: {}", size, std::strerror(errno)));
  }
  bytes_ = {static_cast<std::byte*>(at), size};
}

SharedMemory::~SharedMemory() {
  ::munmap(bytes_.data(), bytes_.size());
}

std::unique_ptr<Role> make_memory(const Json& arguments) {
  return std::make_unique<Memory>(arguments);
}

}  // namespace baton::bench
