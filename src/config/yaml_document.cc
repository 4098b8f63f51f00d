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
    if (nested_ > 0) {
      return;
    }
    if (in_list_) {
      oddity_ = "has an empty element";
      return;
    }
    if (!name_.has_value()) {
      throw Refused(mark, "a name is empty");
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
    if (nested_ > 0) {
      return;
    }
    YamlScalar scalar{value, tag == "!"};
    if (in_list_) {
      list_.push_back(std::move(scalar));
    } else if (name_.has_value()) {
      finish(YamlValue{YamlValue::Kind::kScalar, {std::move(scalar)}, ""});
    } else {
      begin(mark, value);
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag, {"?", ""});
    require_map(mark);
    if (nested_ > 0 || in_list_) {
      enter(mark, "is a list with a list inside");
      return;
    }
    if (!name_.has_value()) {
      throw Refused(mark, "a list stands as a name");
    }
    in_list_ = true;
  }
  void OnSequenceEnd() override {
    if (nested_ > 0) {
      leave();
      return;
    }
    in_list_ = false;
    YamlValue list{YamlValue::Kind::kList, std::exchange(list_, {}), ""};
    finish(oddity_.empty() ? std::move(list) : take_nested());
  }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag, {"?", ""});
    if (depth_ == 0) {
      depth_ = 1;
      return;
    }
    if (!name_.has_value()) {
      throw Refused(mark, "a map stands as a name");
    }
    enter(mark, in_list_ ? "is a list with a map inside" : "is a map; no key has one");
  }
  void OnMapEnd() override {
    if (nested_ > 0) {
      leave();
    } else {
      depth_ = 0;
    }
  }

 private:
  /// Until the matching leave(), what comes is read over.
  void enter(const YAML::Mark& mark, const char* oddity) {
    if (nested_++ == 0) {
      oddity_ = oddity;
    }
    if (nested_ > kMaxYamlDepth) {
      throw Refused(mark, fmt::format("is nested more than {} deep", kMaxYamlDepth));
    }
  }
  void leave() {
    if (--nested_ == 0 && !in_list_) {
      finish(take_nested());
    }
  }
  YamlValue take_nested() { return {YamlValue::Kind::kNested, {}, std::exchange(oddity_, {})}; }

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
  std::string oddity_;      ///< of the value that is being read, once it has one
  std::size_t nested_ = 0;  ///< maps and lists inside the value that are open
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
