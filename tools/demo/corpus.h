// Real text that is on every Debian machine.
#pragma once

#include <string>
#include <vector>

#include "baton/status.h"

namespace baton::demo {

/// The texts of /usr/share/common-licenses that are here. kNotFound, naming the directory, if none
/// is.
StatusOr<std::vector<std::string>> read_corpus();

}  // namespace baton::demo
