// Each layer includes only what stands before it, as docs/architecture.md says.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Layer {
  std::string folder;
  std::vector<std::string> may_include;  ///< folders under src/, beside its own
};

const std::vector<Layer>& layers() {
  static const std::vector<Layer> all = {
      {"base", {}},
      {"memory", {"base"}},
      {"security", {"base"}},
      {"config", {"base"}},
      {"wire", {"base"}},
      {"transport", {"base", "memory"}},
      {"control", {"base", "security"}},
      {"sender", {"base", "memory", "wire", "transport", "control"}},
      {"receiver", {"base", "memory", "wire", "transport", "control"}},
      {"backend",
       {"base", "memory", "security", "config", "wire", "transport", "control", "sender",
        "receiver"}},
      {"engine", {"base"}},
      {"proxy", {"base", "wire", "control"}},
  };
  return all;
}

std::string read(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<std::string> includes_of(const fs::path& path) {
  static const std::regex directive(R"(^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"])",
                                    std::regex::ECMAScript | std::regex::multiline);
  const std::string text = read(path);
  std::vector<std::string> found;
  for (std::sregex_iterator it(text.begin(), text.end(), directive), end; it != end; ++it) {
    found.push_back((*it)[1]);
  }
  return found;
}

std::vector<fs::path> sources_under(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".h" || entry.path().extension() == ".cc") {
      found.push_back(entry.path());
    }
  }
  return found;
}

bool starts_with(const std::string& text, const std::string& prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

TEST(Layering, EachLayerIncludesOnlyWhatStandsBeforeIt) {
  const fs::path src = fs::path(BATON_SOURCE_DIR) / "src";
  std::size_t checked = 0;
  for (const Layer& layer : layers()) {
    for (const fs::path& file : sources_under(src / layer.folder)) {
      for (const std::string& include : includes_of(file)) {
        if (!starts_with(include, "src/")) {
          continue;
        }
        ++checked;
        const std::string target = include.substr(4, include.find('/', 4) - 4);
        const bool allowed =
            target == layer.folder || std::find(layer.may_include.begin(), layer.may_include.end(),
                                                target) != layer.may_include.end();
        EXPECT_TRUE(allowed) << file << " includes " << include;
      }
    }
  }
  EXPECT_GT(checked, 100U) << "the sources were not found";
}

TEST(Layering, EveryFolderIsALayer) {
  for (const auto& entry : fs::directory_iterator(fs::path(BATON_SOURCE_DIR) / "src")) {
    if (entry.is_directory()) {
      const std::string name = entry.path().filename();
      EXPECT_TRUE(std::any_of(layers().begin(), layers().end(),
                              [&](const Layer& layer) { return layer.folder == name; }))
          << name << " is in no layer";
    }
  }
}

TEST(Layering, TheApiIncludesOnlyItselfAndAbseil) {
  for (const fs::path& file : sources_under(fs::path(BATON_SOURCE_DIR) / "include")) {
    for (const std::string& include : includes_of(file)) {
      const bool standard = include.find('/') == std::string::npos;
      EXPECT_TRUE(standard || starts_with(include, "baton/") || starts_with(include, "absl/"))
          << file << " includes " << include;
    }
  }
}

TEST(Layering, ThirdPartiesStayWhereTheyBelong) {
  const std::vector<std::pair<std::regex, std::string>> homes = {
      {std::regex("zmq.*"), "src/control/zmq"},
      {std::regex("(llama|ggml|gguf).*"), "src/engine"},
      {std::regex("yaml-cpp/.*"), "src/config"},
      {std::regex("spdlog/.*"), "src/base"},
  };
  for (const fs::path& file : sources_under(fs::path(BATON_SOURCE_DIR) / "src")) {
    for (const std::string& include : includes_of(file)) {
      for (const auto& [name, home] : homes) {
        if (std::regex_match(include, name)) {
          EXPECT_NE(file.string().find(home), std::string::npos) << file << " includes " << include;
          EXPECT_EQ(file.extension(), ".cc") << file << ": heavy headers belong in sources";
        }
      }
    }
  }
}

}  // namespace
