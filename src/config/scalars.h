// YAML scalars as values. Nothing comes back where the scalar is no such value; a quoted scalar is
// text, whatever it looks like.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/config/option_table.h"
#include "src/config/yaml_document.h"

namespace baton::config {

/// One rank per port: more than any host has.
inline constexpr std::size_t kMaxPorts = 1024;
inline constexpr std::size_t kMaxHostBytes = 253;  // RFC 1035

/// true, yes, on and false, no, off, in any case, as LMCache's parser has it.
std::optional<bool> to_bool(const YamlScalar& scalar);
/// Decimal digits only.
std::optional<std::uint64_t> to_number(const YamlScalar& scalar, const Range& range);
std::optional<double> to_float(const YamlScalar& scalar);
/// From seconds, perhaps with a fraction; `range` is in milliseconds.
std::optional<std::chrono::milliseconds> to_milliseconds(const YamlScalar& seconds,
                                                         const Range& range);
/// At most kMaxPorts; a port may stand alone for a list of one.
std::optional<std::vector<std::uint16_t>> to_ports(const YamlValue& value, const Range& range);

inline constexpr std::size_t kMaxRails = 16;
inline constexpr std::size_t kMaxRailBytes = 128;

/// Whether `text` may name RDMA devices: "mlx5_0:1", "mlx5_0:1,mlx5_1:1".
bool is_rail(std::string_view text);
/// At most kMaxRails; one may stand alone for a list of one.
std::optional<std::vector<std::string>> to_rails(const YamlValue& value);

inline constexpr std::size_t kMaxPathBytes = 4095;  // PATH_MAX without the end

/// Whether `text` may name a file, or none: short enough, and without a zero byte.
bool is_path(std::string_view text);

/// Whether `text` is empty or may stand between "tcp://" and a port.
bool is_host(std::string_view text);

}  // namespace baton::config
