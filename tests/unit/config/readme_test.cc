// The README's configuration table and its example are what the code says.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "src/config/option_docs.h"

namespace baton {
namespace {

std::string read(const std::string& path) {
  std::ifstream file(std::string(BATON_SOURCE_DIR) + "/" + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string row(const OptionDoc& doc) {
  const auto code = [](const std::string& text) {
    return text.empty() ? std::string() : "`" + text + "`";
  };
  std::string type = doc.type;
  for (std::size_t at = type.find('|'); at != std::string::npos; at = type.find('|', at + 2)) {
    type.insert(at, 1, '\\');
  }
  return "| `" + doc.name + "` | " + type + " | " + code(doc.default_value) + " | " + doc.range +
         " | " + doc.meaning + " |";
}

TEST(Readme, ItsTableHasEveryOption) {
  const std::string readme = read("README.md");
  for (const OptionDoc& doc : option_docs()) {
    EXPECT_NE(readme.find(row(doc)), std::string::npos) << "README.md lacks this line:\n"
                                                        << row(doc);
  }
}

TEST(Readme, ItsExampleIsTheOneThatIsCompiled) {
  const std::string example = read("examples/handoff.cc");
  ASSERT_FALSE(example.empty());
  EXPECT_NE(read("README.md").find("```cpp\n" + example + "```"), std::string::npos);
}

}  // namespace
}  // namespace baton
