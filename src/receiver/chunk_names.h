// How the pool remembers keys: what all keys of a model have in common once, of each chunk its
// hash.
#pragma once

#include <absl/container/node_hash_map.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "src/base/hex.h"

namespace baton::receiver {

/// A key in 36 bytes. Its family is the text before and behind its chunk hash. A key whose hash is
/// not what read_hex() reads is a family of its own, with the hash 0.
struct ChunkName {
  static constexpr std::uint32_t kNoFamily = std::numeric_limits<std::uint32_t>::max();

  HexNumber hash{};
  std::uint32_t family = kNoFamily;

  bool operator==(const ChunkName&) const = default;
};

/// The families of all chunks that are there. One whose last chunk has gone is forgotten when
/// forget() is called next, so that names that were read before stay right until then, and peers
/// can't fill it beyond what they may put.
class ChunkNames {
 public:
  /// The parts of the key that was read last: the next one mostly has the same. Views into it.
  struct Cursor {
    std::string_view before;
    std::string_view behind;
    std::uint32_t family = ChunkName::kNoFamily;
    bool is_set = false;
    /// Counts the keys that had other parts than the one before. Of two keys that were read under
    /// one count the family is the same.
    std::uint32_t split = 0;
  };

  /// kNoFamily where no chunk of its family is there: then no chunk of that key is.
  ChunkName read(std::string_view key, Cursor& cursor) const;

  /// For a chunk that comes. `name` and `cursor` are what read() gave for `key` since the last
  /// forget(), and `split` the cursor's after that; the name gets a family if it had none.
  void acquire(std::string_view key, ChunkName& name, std::uint32_t split, Cursor& cursor);
  /// For a chunk that goes.
  void release(std::uint32_t family);
  /// Names and cursors that were read before are worth nothing now.
  void forget();

  std::string text_of(const ChunkName& name) const;

  /// Families have numbers below this.
  std::size_t size() const { return families_.size(); }
  std::uint64_t chunks_of(std::uint32_t family) const { return families_[family].chunks; }

 private:
  struct Family {
    const std::string* text = nullptr;  // in by_text_
    std::size_t hash_place = 0;         // where the hash belongs; 0: it has none
    std::uint64_t chunks = 0;
    bool is_listed = false;  // in orphans_
  };
  /// Of the text with a letter before it: 'h' if a hash belongs into it, 'w' if it is whole.
  using ByText = absl::node_hash_map<std::string, std::uint32_t>;

  ByText by_text_;
  std::vector<Family> families_;
  std::vector<std::uint32_t> orphans_;  // had no chunk at some time since the last forget()
  std::vector<std::uint32_t> unused_;   // of families_
};

}  // namespace baton::receiver
