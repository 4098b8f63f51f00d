// The benchmark's processes speak JSON, and so does its report.
#pragma once

#include <nlohmann/json.hpp>

namespace baton::bench {

using Json = nlohmann::ordered_json;

}  // namespace baton::bench
