// What the kernel says of a host in one-line files (sysfs, procfs).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace baton {

/// `text` with everything that isn't printable ASCII replaced by '?'.
std::string printable(std::string_view text);

/// The first line of a file, without blanks around it, printable, at most 255 bytes. Nothing if it
/// can't be read, is empty, or is no regular file: a pipe must not block who asks.
std::optional<std::string> read_line(const std::filesystem::path& path);

}  // namespace baton
