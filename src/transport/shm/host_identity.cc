#include "src/transport/shm/host_identity.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cctype>

#include "src/base/unique_fd.h"
#include "src/transport/shm/shm_messages.h"

namespace baton::transport::shm {
namespace {

constexpr std::size_t kOfferBytes = 44;

std::uint64_t inode_of(const char* path) {
  struct stat info {};
  return stat(path, &info) == 0 ? info.st_ino : 0;
}

std::optional<unsigned> hex_digit(char c) {
  if (c >= '0' && c <= '9') {
    return static_cast<unsigned>(c - '0');
  }
  if (c >= 'a' && c <= 'f') {
    return static_cast<unsigned>(c - 'a' + 10);
  }
  return std::nullopt;
}

/// "8-4-4-4-12" hex digits; zeros if it is anything else.
Bytes16 parse_uuid(std::string_view text) {
  Bytes16 bytes{};
  std::size_t digits = 0;
  for (const char c : text) {
    const auto digit = hex_digit(c);
    if (!digit) {
      continue;
    }
    if (digits == 2 * bytes.size()) {
      return {};
    }
    auto& byte = bytes.at(digits / 2);
    byte = static_cast<std::uint8_t>((static_cast<unsigned>(byte) << 4U) | *digit);
    ++digits;
  }
  return digits == 2 * bytes.size() ? bytes : Bytes16{};
}

Bytes16 read_boot_id() {
  const UniqueFd file(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  std::array<char, 64> text{};
  const ssize_t count = file ? read(file.get(), text.data(), text.size()) : -1;
  return count > 0 ? parse_uuid({text.data(), static_cast<std::size_t>(count)}) : Bytes16{};
}

}  // namespace

HostIdentity HostIdentity::current() {
  return {.boot_id = read_boot_id(),
          .pid_namespace = inode_of("/proc/self/ns/pid"),
          .network_namespace = inode_of("/proc/self/ns/net"),
          .user = geteuid()};
}

bool HostIdentity::can_serve(const HostIdentity& sender) const {
  return boot_id != Bytes16{} && boot_id == sender.boot_id && pid_namespace != 0 &&
         pid_namespace == sender.pid_namespace && network_namespace != 0 &&
         network_namespace == sender.network_namespace && user_allowed(user, sender.user);
}

bool user_allowed(std::uint32_t own_user, std::uint32_t peer_user) {
  return peer_user == own_user || peer_user == 0;
}

std::string encode_offer(const HostIdentity& identity) {
  RecordWriter writer;
  put_prefix(writer, 0);
  return writer.put(identity.boot_id)
      .put(identity.pid_namespace)
      .put(identity.network_namespace)
      .put(identity.user)
      .take();
}

std::optional<HostIdentity> decode_offer(std::string_view bytes) {
  RecordReader reader(bytes);
  if (bytes.size() != kOfferBytes || read_prefix(reader) != 0) {
    return std::nullopt;
  }
  HostIdentity identity;
  identity.boot_id = reader.get_bytes16();
  identity.pid_namespace = reader.get<std::uint64_t>();
  identity.network_namespace = reader.get<std::uint64_t>();
  identity.user = reader.get<std::uint32_t>();
  return identity;
}

}  // namespace baton::transport::shm
