// What the pages of one receiver incarnation must hold (P1, P3, P7), by watching from outside: the
// messages that it sends, the bytes that land, and what it shows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/memory/registered_buffer.h"
#include "src/receiver/receiver.h"
#include "src/transport/loopback/loopback_hub.h"
#include "tests/simulation/model/verdict.h"
#include "tests/simulation/world/content.h"
#include "tests/simulation/world/coverage.h"

namespace baton::simulation {

/// A put, as named in messages.
struct PutName {
  Epoch sender;
  std::uint64_t put_id = 0;
  auto operator<=>(const PutName&) const = default;
};

/// Knows every byte: a shadow of each page changes only where a landing was seen, or is poison from
/// a grant on. The page itself must never differ from it.
class PageModel {
 public:
  PageModel(std::string name, receiver::Receiver& receiver, const RegisteredBuffer& buffer,
            Content& content, Verdict& verdict, Coverage& coverage);

  /// A put asks this incarnation for pages. An answer leaves nothing open if no chunk is in flight.
  void asked(const PutName& put) { open_puts_.insert(put); }
  void answered(const PutName& put) { open_puts_.erase(put); }
  void granted(const PutName& put, const std::string& key, std::uint32_t page,
               std::uint64_t generation);
  /// A put brings its chunks along: from now on they may be there without our seeing the answer.
  void eager_asked(const wire::KeyList& keys);
  /// A process may write the page, for no chunk yet.
  void granted_ahead(const Epoch& sender, std::uint32_t page, std::uint64_t generation);
  /// A put says that the chunk lies in that page ahead; with a digest also that all of it does.
  void named_ahead(const PutName& put, const std::string& key, std::uint32_t page,
                   std::uint64_t generation, std::optional<std::uint64_t> digest);
  /// The receiver says that it has the chunk from elsewhere: the page is its sender's as before.
  void left_ahead(const PutName& put, std::uint32_t page, std::uint64_t generation);
  /// A process has the page ahead in its hands, from now on for whatever it computes. Its
  /// generation; or none if its right to write is known to be gone.
  std::optional<std::uint64_t> lent(const Epoch& sender, std::uint32_t page);
  /// The fence has taken it away: what the process writes gets nowhere.
  bool reaches(std::uint64_t generation) const { return !grants_.at(generation).fenced; }
  /// The page whose memory that is.
  std::optional<std::uint32_t> page_at(const std::byte* memory) const;
  void recalled(const Epoch& sender, std::uint32_t page, std::uint64_t generation);
  /// An answer says so of this key: what was shown of it under another generation is gone. To be
  /// told of all keys of the answer before any of it is looked at: one may have the other's former
  /// page.
  void replaced(const std::string& key, std::uint64_t generation);
  /// Granted, and the bytes that came along are there.
  void placed(const PutName& put, const std::string& key, std::uint32_t page,
              std::uint64_t generation);
  /// The sender says that the bytes are there, or that it will not touch the page any more.
  void commit_asked(const PutName& put, std::uint32_t page, std::uint64_t generation,
                    std::optional<std::uint64_t> digest);
  void drain_said(const PutName& put, std::uint32_t page, std::uint64_t generation);
  /// The receiver said that it has committed them.
  void commit_said(const PutName& put, std::uint32_t page, std::uint64_t generation);
  /// It said that a request is open.
  void admitted() { ++admitted_in_turn_; }
  void landed(const transport::LoopbackConditions::Landing& landing);
  /// A read, as named in messages, was told that it may read that page.
  void read_held(const PutName& read, const std::string& key, std::uint32_t page,
                 std::uint64_t generation, std::uint64_t length, std::uint64_t digest);
  /// The reader says that it reads no more.
  void read_released(const PutName& read);
  /// Proven: that process gets nothing out of this receiver's pages any more.
  void fenced(const Epoch& reader);
  /// Has a read been told so, and is neither released nor fenced?
  bool is_read_by(const Epoch& reader) const;
  /// Bytes got into the memory of the reader (`writer`).
  void read_landed(const transport::LoopbackConditions::Landing& landing);
  void after_turn();

  bool somebody_waits() const { return receiver_.stats().waiting > 0; }

  /// "d0" for "d0.1".
  std::string_view group() const { return std::string_view(name_).substr(0, name_.find('.')); }
  bool visible(std::string_view key) const;
  bool was_visible(std::string_view key) const;

 private:
  struct Grant {
    PutName put;
    std::string key;
    std::uint32_t page = 0;
    bool commit_asked = false;
    bool drain_said = false;
    bool fenced = false;
    bool ahead = false;     // came before its put: `put` has id 0, and `key` none, until it comes
    bool recalled = false;  // while it was ahead
    bool lent = false;      // to who computes there
    /// Ahead: the put that has named it for `key`.
    std::uint64_t named_by = 0;
    std::set<std::uint64_t> left_by = {};  // had named it, and needed it not
    /// Ahead: what has landed, from where to where, since nobody named it.
    std::vector<std::pair<std::size_t, std::size_t>> landed = {};
  };
  struct Chunk {
    std::uint64_t generation = 0;  // of its latest grant
    const std::vector<std::byte>* bytes = nullptr;
    bool visible = false;
    bool was_visible = false;
  };

  void check_no_reader(std::uint32_t page, std::uint64_t generation);
  /// P3, P7: the page may be granted under that generation. False if the model can't go on.
  bool check_grant(std::uint32_t page, std::uint64_t generation);
  void begin_chunk(const std::string& key, std::uint64_t generation);
  /// The page came ahead, and is the put's now. False if it did not come ahead.
  bool adopt(const PutName& put, const std::string& key, std::uint32_t page,
             std::uint64_t generation);
  Grant* find_ahead(const Epoch& sender, std::uint32_t page, std::uint64_t generation);
  void adopt_untold_ahead();
  void check_landed(const Grant& grant, std::size_t begin, std::size_t end);
  Grant* find(const PutName& put, std::uint32_t page, std::uint64_t generation);
  std::span<std::byte> shadow_of(std::uint32_t page);
  void adopt_untold();
  void learn_generation(const std::string& key, std::uint32_t page, std::uint64_t generation);
  void compare_bytes();
  void compare_visibility();
  void count_transitions(const receiver::Receiver::Stats& stats);
  void broken(Promise promise, std::string_view what);

  const std::string name_;
  receiver::Receiver& receiver_;
  const RegisteredBuffer& buffer_;
  Content& content_;
  Verdict& verdict_;
  Coverage& coverage_;
  std::vector<std::byte> shadow_;
  std::vector<std::uint64_t> current_;  // generation by page
  std::map<std::uint64_t, Grant> grants_;
  std::set<PutName> open_puts_;       // may be granted pages without our seeing it
  std::set<std::string> eager_keys_;  // of puts that brought their chunks along
  std::uint64_t untold_ = 0;          // grants whose answer could not be sent
  std::map<std::string, Chunk, std::less<>> chunks_;
  struct Read {
    bool released = false;
    std::map<std::uint32_t, std::uint64_t> pages;  // generation by page
  };
  std::map<PutName, Read> reads_;  // whose readers are not fenced
  receiver::ChunkPool::Counts counts_;
  std::uint64_t waiting_ = 0;
  std::uint64_t admitted_in_turn_ = 0;
};

}  // namespace baton::simulation
