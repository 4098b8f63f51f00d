// Where the tiny model is kept.
#pragma once

#include <string>

#include "baton/status.h"

namespace baton::demo {

/// Path of the tiny model, written on first use: ${XDG_CACHE_HOME:-$HOME/.cache}/baton, or the
/// temporary directory where there is no home that can be written to.
StatusOr<std::string> ensure_tiny_model();

}  // namespace baton::demo
