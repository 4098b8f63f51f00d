#include "src/receiver/chunk_names.h"

#include <cassert>
#include <optional>
#include <utility>

#include "src/base/key_checker.h"
#include "src/base/text.h"

namespace baton::receiver {
namespace {

constexpr char kWithHash = 'h';
constexpr char kWhole = 'w';

std::string family_text(char kind, std::string_view before, std::string_view behind) {
  std::string text;
  text.reserve(1 + before.size() + behind.size());
  text += kind;
  text += before;
  text += behind;
  return text;
}

bool fits(std::string_view key, const ChunkNames::Cursor& cursor) {
  return cursor.is_set && key.size() > cursor.before.size() + cursor.behind.size() &&
         same_text(key.substr(0, cursor.before.size()), cursor.before) &&
         same_text(key.substr(key.size() - cursor.behind.size()), cursor.behind);
}

}  // namespace

ChunkName ChunkNames::read(std::string_view key, Cursor& cursor) const {
  if (fits(key, cursor)) {
    const std::size_t begin = cursor.before.size();
    ChunkName name{{}, cursor.family};
    if (read_hex(key.substr(begin, key.size() - begin - cursor.behind.size()), name.hash)) {
      return name;
    }
  }
  const HashPlace place = find_hash(key);
  const std::string_view before = key.substr(0, place.begin);
  const std::string_view behind = key.substr(place.end);
  HexNumber hash;
  const bool has_hash = read_hex(key.substr(place.begin, place.end - place.begin), hash);
  const auto found = by_text_.find(has_hash ? family_text(kWithHash, before, behind)
                                            : family_text(kWhole, key, {}));
  const std::uint32_t family = found == by_text_.end() ? ChunkName::kNoFamily : found->second;
  cursor = {before, behind, family, has_hash, cursor.split + 1};
  return {has_hash ? hash : HexNumber{}, family};
}

void ChunkNames::acquire(std::string_view key, ChunkName& name, std::uint32_t split,
                         Cursor& cursor) {
  if (name.family == ChunkName::kNoFamily) {
    // Another chunk may have brought it meanwhile.
    if (cursor.is_set && split == cursor.split) {
      name.family = cursor.family;
    } else {
      name = read(key, cursor);
    }
  }
  if (name.family == ChunkName::kNoFamily) {
    const HashPlace place = find_hash(key);
    HexNumber hash;
    const bool has_hash = read_hex(key.substr(place.begin, place.end - place.begin), hash);
    if (unused_.empty()) {
      unused_.push_back(static_cast<std::uint32_t>(families_.size()));
      families_.emplace_back();
    }
    name.family = unused_.back();
    unused_.pop_back();
    const auto [text, added] = by_text_.emplace(
        has_hash ? family_text(kWithHash, key.substr(0, place.begin), key.substr(place.end))
                 : family_text(kWhole, key, {}),
        name.family);
    assert(added);
    static_cast<void>(added);
    families_[name.family] = {&text->first, has_hash ? 1 + place.begin : 0, 0, false};
    if (has_hash) {
      cursor.family = name.family;  // read() has just set the rest.
    }
  }
  ++families_[name.family].chunks;
}

void ChunkNames::release(std::uint32_t family) {
  Family& known = families_[family];
  if (--known.chunks == 0 && !std::exchange(known.is_listed, true)) {
    orphans_.push_back(family);
  }
}

void ChunkNames::forget() {
  for (const std::uint32_t family : orphans_) {
    Family& known = families_[family];
    known.is_listed = false;
    if (known.chunks == 0) {
      by_text_.erase(by_text_.find(*known.text));
      known = {};
      unused_.push_back(family);
    }
  }
  orphans_.clear();
}

std::string ChunkNames::text_of(const ChunkName& name) const {
  const Family& family = families_[name.family];
  const std::string_view text = *family.text;
  if (family.hash_place == 0) {
    return std::string(text.substr(1));
  }
  std::string key(text.substr(1, family.hash_place - 1));
  write_hex(name.hash, key);
  key += text.substr(family.hash_place);
  return key;
}

}  // namespace baton::receiver
