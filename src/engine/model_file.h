// What must be known of a GGUF file before llama.cpp gets it.
#pragma once

#include <cstdint>
#include <string>

#include "baton/status.h"

namespace baton::engine {

/// OK for a complete GGUF file of the llama architecture. Otherwise kInvalidArgument: the file is
/// missing or unreadable, is no GGUF, ends before its tensors do, or has another architecture.
/// Call init_llama() before.
Status check_model_file(const std::string& path);

/// Names the model to peers: the XXH3 digest of all bytes of the file, 16 hex digits.
StatusOr<std::string> fingerprint_file(const std::string& path);

}  // namespace baton::engine
