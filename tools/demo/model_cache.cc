#include "tools/demo/model_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "src/engine/tiny_model.h"

namespace baton::demo {
namespace {

namespace fs = std::filesystem;

/// Names what write_tiny_model() makes: another content gets another name.
constexpr const char* kFileName = "tiny-llama-1.gguf";

std::vector<fs::path> candidates() {
  std::vector<fs::path> result;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (cache != nullptr && *cache == '/') {
    result.push_back(fs::path(cache) / "baton");
  } else if (home != nullptr && *home == '/') {
    result.push_back(fs::path(home) / ".cache" / "baton");
  }
  std::error_code ignored;
  // Per user: a file that somebody else has put there is not to be trusted.
  result.push_back(fs::temp_directory_path(ignored) / fmt::format("baton-{}", ::getuid()));
  return result;
}

}  // namespace

StatusOr<std::string> ensure_tiny_model() {
  Status why;
  for (const fs::path& directory : candidates()) {
    const fs::path path = directory / kFileName;
    std::error_code error;
    if (fs::is_regular_file(path, error)) {
      return path.string();
    }
    fs::create_directories(directory, error);
    fmt::print(stderr, "Writing a tiny model with random weights: {}\n", path.string());
    why = engine::write_tiny_model(path.string());
    if (why.ok()) {
      return path.string();
    }
  }
  return why;
}

}  // namespace baton::demo
