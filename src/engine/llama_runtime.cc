#include "src/engine/llama_runtime.h"

#include <fmt/format.h>
#include <llama.h>

#include <string_view>
#include <utility>

#include "src/base/log.h"

namespace baton::engine {
namespace {

std::string& last_error() {
  thread_local std::string text;
  return text;
}

std::string_view without_newline(std::string_view text) {
  while (text.ends_with('\n')) {
    text.remove_suffix(1);
  }
  return text;
}

/// llama.cpp talks a lot: all of it is debug output here, and its errors come back in a Status.
void on_llama_log(ggml_log_level level, const char* text, void* /*user_data*/) {
  const std::string_view line = without_newline(text);
  if (level == GGML_LOG_LEVEL_ERROR && !line.empty()) {
    last_error() = line;
  }
  if (line.size() > 1) {  // progress dots come one by one
    log::debug("llama.cpp: {}", line);
  }
}

Status load_back_ends() {
  llama_log_set(on_llama_log, nullptr);
  constexpr std::string_view kDirectory = BATON_LLAMA_BACKEND_DIR;
  if (kDirectory.empty()) {
    ggml_backend_load_all();
  } else {
    ggml_backend_load_all_from_path(kDirectory.data());
  }
  if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) == nullptr) {
    return absl::FailedPreconditionError(fmt::format(
        "llama.cpp has no CPU back end: no libggml-cpu-*.so in '{}'. Configure the build again "
        "(cmake fetches llama.cpp when it is missing)",
        kDirectory));
  }
  llama_backend_init();
  return absl::OkStatus();
}

}  // namespace

void LlamaDeleter::operator()(llama_model* model) const {
  llama_model_free(model);
}
void LlamaDeleter::operator()(llama_context* context) const {
  llama_free(context);
}

Status init_llama() {
  static const Status status = load_back_ends();
  return status;
}

std::string take_llama_error() {
  const std::string text = std::exchange(last_error(), {});
  return text.empty() ? "no reason given" : text;
}

}  // namespace baton::engine
