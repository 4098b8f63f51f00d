#include "tools/demo/corpus.h"

#include <fmt/format.h>

#include <array>
#include <fstream>
#include <iterator>

namespace baton::demo {
namespace {

constexpr const char* kDirectory = "/usr/share/common-licenses/";
constexpr std::array kNames = {"GPL-3",   "LGPL-2.1", "MPL-2.0",    "GPL-2", "GFDL-1.3",
                               "MPL-1.1", "LGPL-2",   "Apache-2.0", "GPL-1", "GFDL-1.2",
                               "LGPL-3",  "CC0-1.0",  "Artistic",   "BSD"};

}  // namespace

StatusOr<std::vector<std::string>> read_corpus() {
  std::vector<std::string> texts;
  for (const char* name : kNames) {
    std::ifstream file(std::string(kDirectory) + name, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (!text.empty()) {
      texts.push_back(std::move(text));
    }
  }
  if (texts.empty()) {
    return absl::NotFoundError(fmt::format(
        "none of the licence texts that the demo cuts its prompts from is in {}; install Debian's "
        "package base-files",
        kDirectory));
  }
  return texts;
}

}  // namespace baton::demo
