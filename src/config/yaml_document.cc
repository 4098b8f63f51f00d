#include "src/config/yaml_document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "src/base/text.h"

namespace baton::config {
namespace {

/// How an event handler stops the parser. Never leaves this file.
class Refused : public std::runtime_error {
 public:
  Refused(const YAML::Mark& mark, const std::string& why)
      : std::runtime_error(why), line_(static_cast<std::size_t>(mark.line) + 1) {}
  std::size_t line() const { return line_; }

 private:
  std::size_t line_;
};

/// Builds entries from the parser's events. Events, not nodes: what is refused is refused before
/// anything is built of it, however deep or often it would repeat itself.
class EntryBuilder : public YAML::EventHandler {
 public:
  std::vector<YamlEntry> take() { return std::move(entries_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      throw Refused(mark, "a configuration is one document");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    if (depth_ == 0) {
      return;  // an empty document
    }
    if (!name_.has_value() || in_list_) {
      throw Refused(mark, in_list_ ? "a list has an empty element" : "a name is empty");
    }
    finish(YamlValue{});
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    throw Refused(mark, "aliases are not allowed");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag, {"?", "!"});
    require_map(mark);
    YamlScalar scalar{value, tag == "!"};
    if (in_list_) {
      list_.push_back(std::move(scalar));
    } else if (name_.has_value()) {
      finish(YamlValue{YamlValue::Kind::kScalar, {std::move(scalar)}});
    } else {
      begin(mark, value);
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag, {"?", ""});
    require_map(mark);
    if (!name_.has_value() || in_list_) {
      throw Refused(mark, in_list_ ? "a list stands inside a list" : "a list stands as a name");
    }
    in_list_ = true;
  }
  void OnSequenceEnd() override {
    in_list_ = false;
    finish(YamlValue{YamlValue::Kind::kList, std::exchange(list_, {})});
  }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag, {"?", ""});
    if (depth_++ > 0) {
      throw Refused(mark, name_.has_value()
                              ? fmt::format("{} is a map; no key has one", quote(*name_))
                              : "a map stands as a name");
    }
  }
  void OnMapEnd() override { --depth_; }

 private:
  static void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) {
      throw Refused(mark, "anchors are not allowed");
    }
  }

  static void refuse_tag(const YAML::Mark& mark, const std::string& tag,
                         std::initializer_list<std::string_view> implicit) {
    for (const std::string_view allowed : implicit) {
      if (tag == allowed) {
        return;
      }
    }
    throw Refused(mark, fmt::format("the tag {} is not allowed", quote(tag)));
  }

  void require_map(const YAML::Mark& mark) const {
    if (depth_ == 0) {
      throw Refused(mark, "a configuration is a map of names to values");
    }
  }

  void begin(const YAML::Mark& mark, const std::string& name) {
    for (const YamlEntry& entry : entries_) {
      if (entry.name == name) {
        throw Refused(mark,
                      fmt::format("{} is there twice; first in line {}", quote(name), entry.line));
      }
    }
    if (entries_.size() == kMaxEntries) {
      throw Refused(mark, fmt::format("more than {} names", kMaxEntries));
    }
    name_ = name;
    line_ = static_cast<std::size_t>(mark.line) + 1;
  }

  void finish(YamlValue value) {
    entries_.push_back({*std::exchange(name_, std::nullopt), line_, std::move(value)});
  }

  /// Far more than there are keys; keeps the search for duplicates short.
  static constexpr std::size_t kMaxEntries = 256;

  std::vector<YamlEntry> entries_;
  std::vector<YamlScalar> list_;
  std::optional<std::string> name_;  ///< whose value comes next
  std::size_t line_ = 0;
  int documents_ = 0;
  int depth_ = 0;
  bool in_list_ = false;
};

Status invalid(std::string_view origin, std::size_t line, const std::string& why) {
  return absl::InvalidArgumentError(fmt::format("{}:{}: {}", origin, line, why));
}

}  // namespace

StatusOr<std::vector<YamlEntry>> parse_yaml(std::string_view text, std::string_view origin) {
  if (text.size() > kMaxYamlBytes) {
    return absl::InvalidArgumentError(fmt::format(
        "{}: has {} bytes; a configuration has at most {}", origin, text.size(), kMaxYamlBytes));
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    EntryBuilder builder;
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take();
  } catch (const Refused& refused) {
    return invalid(origin, refused.line(), refused.what());
  } catch (const YAML::Exception& error) {
    return invalid(origin, static_cast<std::size_t>(error.mark.line) + 1,
                   fmt::format("not YAML: {}", quote(error.msg)));
  }
}

}  // namespace baton::config
