// How quantities and addresses are written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace baton::doctor {

/// "8 MiB", "1.5 GiB", "1000 bytes"
std::string bytes_text(std::uint64_t bytes);
/// The same, or "unlimited".
std::string limit_text(std::optional<std::uint64_t> bytes);
/// Of 4 or 16 bytes in network byte order.
std::string ip_text(std::string_view ip);

}  // namespace baton::doctor
