// llama.cpp as a library of this process: back ends, its log, and owners for its objects.
#pragma once

#include <memory>
#include <string>

#include "baton/status.h"

struct llama_model;
struct llama_context;

namespace baton::engine {

struct LlamaDeleter {
  void operator()(llama_model* model) const;
  void operator()(llama_context* context) const;
};
using LlamaModelHandle = std::unique_ptr<llama_model, LlamaDeleter>;
using LlamaContextHandle = std::unique_ptr<llama_context, LlamaDeleter>;

/// Loads ggml's back ends and takes over llama.cpp's log, once in the process; later calls repeat
/// the first one's answer. Must precede every other use of llama.cpp. Thread-safe.
Status init_llama();

/// The last error that llama.cpp logged on this thread, and forgets it; or "no reason given".
std::string take_llama_error();

}  // namespace baton::engine
