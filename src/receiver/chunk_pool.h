// The receiver's pages and the chunks in them: who may write, who may read, what may be evicted.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "baton/tensor_meta.h"
#include "src/base/epoch.h"
#include "src/memory/page_allocator.h"
#include "src/memory/registered_buffer.h"

namespace baton::receiver {

struct Put;

/// Who may write a page.
struct Writer {
  Epoch sender;
  std::uint64_t put_id = 0;
  bool operator==(const Writer&) const = default;
};

/// A chunk in a page: in flight from its grant on, committed once verified.
struct Chunk {
  enum class State : std::uint8_t { kInFlight, kCommitted };
  /// A put that was answered "in flight", and which of its keys.
  struct Waiter {
    Put* put;
    std::uint32_t key_index;
  };

  std::string key;
  TensorMeta meta;
  std::size_t bytes = 0;
  std::uint32_t page = 0;
  State state = State::kInFlight;
  std::uint64_t digest = 0;  ///< as committed; 0 where integrity is off
  std::uint32_t holds = 0;
  std::uint32_t read_holds = 0;  ///< of these, for readers in other processes
  bool verifying = false;        ///< a commit of it is being checked
  /// Committed on the decoder's word, for an LMCache sender: there is no digest.
  bool vouched = false;
  /// Found damaged after its commit: no longer in the index, freed with its last hold.
  bool condemned = false;
  std::vector<Waiter> waiters;
  std::list<Chunk*>::iterator lru;  ///< valid while retained
};

/// Pages, chunks and reservations, with exact accounting. All methods on the loop.
///
/// A page is free, granted (one writer may write it, under one generation), committed (nobody
/// writes; holds keep it, or it is retained as cache), or quarantined (granted once, its writer not
/// yet drained or fenced). docs/protocol.md, "Pages", has every transition.
///
/// A reservation promises pages to an admitted request: `reserved` never exceeds `free + retained`,
/// so that a grant or a hold that consumes a reserved unit can't fail.
class ChunkPool {
 public:
  struct Counts {
    std::uint32_t total = 0;
    std::uint32_t free = 0;
    std::uint32_t granted = 0;
    std::uint32_t held = 0;  ///< committed, with at least one hold
    std::uint32_t retained = 0;
    std::uint32_t quarantined = 0;
    std::uint32_t reserved = 0;
  };

  /// Of the buffer's first `page_count` pages.
  ChunkPool(RegisteredBuffer& buffer, std::uint32_t page_count, bool poison_pages);

  Counts counts() const;
  /// Pages that a new reservation can still be promised.
  std::uint32_t available() const;

  /// nullptr if the key is neither in flight nor committed.
  Chunk* find(std::string_view key);

  void reserve(std::uint32_t pages);
  void unreserve(std::uint32_t pages);

  /// Turns one reserved unit into a granted page, evicting the least recently used retained chunk
  /// if no page is free. The key must not be there. The chunk begins with one hold.
  Chunk& grant(const std::string& key, const TensorMeta& meta, std::size_t bytes,
               const Writer& writer);

  std::uint64_t generation_of(std::uint32_t page) const { return pages_[page].generation; }
  /// The chunk that `writer` may write at `page` under `generation`; nullptr if there is no such
  /// grant (any more).
  Chunk* granted_to(const Writer& writer, std::uint32_t page, std::uint64_t generation);
  /// True if `writer` has committed `page` under `generation`, and the chunk is still there.
  bool committed_by(const Writer& writer, std::uint32_t page, std::uint64_t generation) const;
  /// For a transport's guard, which knows the process but not the put. A quarantined page is still
  /// its writer's: what lands there harms nobody, and refusing it would cost the writer its
  /// connection, and with it its other requests.
  bool may_write(const Epoch& sender, std::uint32_t page, std::uint64_t generation,
                 std::uint64_t offset_bytes, std::uint64_t length_bytes) const;

  /// granted → committed.
  void commit(Chunk& chunk);
  /// A hold takes a retained chunk's page from what was promised as evictable. True if no promise
  /// is broken by it, beyond units that the caller gives back in the same turn.
  bool may_hold(const Chunk& chunk) const { return chunk.holds > 0 || available() > 0; }
  void hold(Chunk& chunk);
  /// The last hold of a committed chunk makes it retained (or frees it, if condemned).
  void unhold(Chunk& chunk);
  /// Takes a committed chunk out of the index: it was found damaged.
  void condemn(Chunk& chunk);

  /// granted → quarantined. The chunk is gone afterwards, with its holds; its waiters are the
  /// caller's to serve. Returns them.
  std::vector<Chunk::Waiter> quarantine(Chunk& chunk);
  /// quarantined → free, if `writer` held `page` under `generation`; else false.
  bool release_quarantined(const Writer& writer, std::uint32_t page, std::uint64_t generation);
  /// All quarantined pages of a process that is fenced now → free. Returns how many.
  std::uint32_t release_quarantined(const Epoch& sender);

  /// A page that waits for its writer.
  struct Quarantined {
    Writer writer;
    std::uint32_t page = 0;
    std::uint64_t generation = 0;
    std::uint32_t rounds = 0;  ///< calls of age_quarantine() that it has been through
  };
  /// To be called at a fixed pace: all that wait.
  std::vector<Quarantined> age_quarantine();

  /// retained → free. False if the chunk is not there, not committed or held.
  bool remove(std::string_view key);
  std::uint32_t evict_all_retained();

  /// The bytes of a chunk in its page.
  std::span<std::byte> bytes_of(const Chunk& chunk) const {
    return buffer_.page(chunk.page).first(chunk.bytes);
  }
  RegisteredBuffer& buffer() const { return buffer_; }

  /// Recounts everything from the pages up; the first contradiction found, or "". For tests.
  std::string audit() const;

 private:
  enum class PageState : std::uint8_t { kFree, kGranted, kCommitted, kQuarantined };
  struct Page {
    PageState state = PageState::kFree;
    std::uint64_t generation = 0;
    Writer writer;
    Chunk* chunk = nullptr;
    std::size_t granted_bytes = 0;
    std::uint32_t rounds_quarantined = 0;
  };

  std::uint32_t take_page();
  void free_page(std::uint32_t page);
  void erase(Chunk& chunk);
  void evict(Chunk& chunk);

  RegisteredBuffer& buffer_;
  const bool poison_pages_;
  PageAllocator allocator_;
  std::vector<Page> pages_;
  absl::flat_hash_map<std::string, std::unique_ptr<Chunk>> index_;
  absl::flat_hash_map<Chunk*, std::unique_ptr<Chunk>> condemned_;
  std::list<Chunk*> retained_;  // least recently used first
  std::uint64_t last_generation_ = 0;
  std::uint32_t granted_ = 0;
  std::uint32_t quarantined_ = 0;
  std::uint32_t reserved_ = 0;
};

}  // namespace baton::receiver
