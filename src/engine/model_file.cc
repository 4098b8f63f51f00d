#include "src/engine/model_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gguf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include "src/base/digest.h"
#include "src/base/unique_fd.h"
#include "src/engine/llama_runtime.h"

namespace baton::engine {
namespace {

constexpr std::string_view kGgufMagic = GGUF_MAGIC;
constexpr std::string_view kArchitecture = "llama";
constexpr std::size_t kReadBytes = 1U << 20U;

struct GgufDeleter {
  void operator()(gguf_context* context) const { gguf_free(context); }
};
using GgufHandle = std::unique_ptr<gguf_context, GgufDeleter>;

Status bad_model(const std::string& path, std::string_view reason) {
  return absl::InvalidArgumentError(fmt::format("model file '{}': {}", path, reason));
}

std::string errno_text() {
  return std::generic_category().message(errno);
}

struct OpenFile {
  UniqueFd fd;
  std::uint64_t bytes = 0;
};

StatusOr<OpenFile> open_file(const std::string& path) {
  // Not blocking: a FIFO given by mistake must not hang us.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info {};
  if (!fd || ::fstat(fd.get(), &info) != 0) {
    return bad_model(path, errno_text());
  }
  if (!S_ISREG(info.st_mode)) {
    return bad_model(path, "not a regular file");
  }
  return OpenFile{.fd = std::move(fd), .bytes = static_cast<std::uint64_t>(info.st_size)};
}

/// Fills `buffer` as far as the file goes; -1 on an error.
ssize_t read_some(int fd, std::span<std::byte> buffer) {
  ssize_t count = 0;
  do {
    count = ::read(fd, buffer.data(), buffer.size());
  } while (count < 0 && errno == EINTR);
  return count;
}

Status check_magic(const std::string& path, const OpenFile& file) {
  std::array<std::byte, kGgufMagic.size()> magic{};
  const ssize_t count = read_some(file.fd.get(), magic);
  if (count != static_cast<ssize_t>(magic.size()) ||
      std::memcmp(magic.data(), kGgufMagic.data(), magic.size()) != 0) {
    return bad_model(path, "not a GGUF file (it does not begin with 'GGUF')");
  }
  return absl::OkStatus();
}

Status check_architecture(const std::string& path, const gguf_context& gguf) {
  const std::int64_t key = gguf_find_key(&gguf, "general.architecture");
  if (key < 0 || gguf_get_kv_type(&gguf, key) != GGUF_TYPE_STRING) {
    return bad_model(path, "it names no architecture");
  }
  const std::string_view architecture = gguf_get_val_str(&gguf, key);
  if (architecture != kArchitecture) {
    return bad_model(path, fmt::format("its architecture is '{}'; only '{}' is supported",
                                       architecture, kArchitecture));
  }
  return absl::OkStatus();
}

Status check_complete(const std::string& path, const gguf_context& gguf, std::uint64_t bytes) {
  std::uint64_t end = gguf_get_data_offset(&gguf);
  for (std::int64_t i = 0; i < gguf_get_n_tensors(&gguf); ++i) {
    end = std::max<std::uint64_t>(end, gguf_get_data_offset(&gguf) +
                                           gguf_get_tensor_offset(&gguf, i) +
                                           gguf_get_tensor_size(&gguf, i));
  }
  if (bytes < end) {
    return bad_model(path, fmt::format("truncated: {} bytes of {}", bytes, end));
  }
  return absl::OkStatus();
}

}  // namespace

Status check_model_file(const std::string& path) {
  auto file = open_file(path);
  if (!file.ok()) {
    return file.status();
  }
  if (Status status = check_magic(path, *file); !status.ok()) {
    return status;
  }
  take_llama_error();
  const GgufHandle gguf(gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}));
  if (gguf == nullptr) {
    return bad_model(path, fmt::format("damaged or truncated: {}", take_llama_error()));
  }
  if (Status status = check_architecture(path, *gguf); !status.ok()) {
    return status;
  }
  return check_complete(path, *gguf, file->bytes);
}

StatusOr<std::string> fingerprint_file(const std::string& path) {
  auto file = open_file(path);
  if (!file.ok()) {
    return file.status();
  }
  DigestStream digest;
  std::vector<std::byte> buffer(kReadBytes);
  for (;;) {
    const ssize_t count = read_some(file->fd.get(), buffer);
    if (count < 0) {
      return bad_model(path, errno_text());
    }
    if (count == 0) {
      return fmt::format("{:016x}", digest.value());
    }
    digest.update(std::span(buffer).first(static_cast<std::size_t>(count)));
  }
}

}  // namespace baton::engine
