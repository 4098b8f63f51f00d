// The receiver's pages and the chunks in them: who may write, who may read, what may be evicted.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "baton/tensor_meta.h"
#include "src/base/duplicates.h"
#include "src/base/epoch.h"
#include "src/base/huge_pages.h"
#include "src/base/keyed_hash.h"
#include "src/memory/page_allocator.h"
#include "src/memory/registered_buffer.h"
#include "src/receiver/chunk_metas.h"
#include "src/receiver/chunk_names.h"
#include "src/receiver/lru_list.h"
#include "src/receiver/page_index.h"
#include "src/wire/key_list.h"

namespace baton::receiver {

struct Put;

/// Who may write a page.
struct Writer {
  Epoch sender;
  std::uint64_t put_id = 0;
  bool operator==(const Writer&) const = default;
};

/// A page, and the chunk in it: in flight from its grant on, committed once verified. There is one
/// for each page of the buffer, at a place that never changes; of a page without a chunk, only what
/// a late word about its last grant is compared with means something.
struct alignas(64) Chunk {
  enum class State : std::uint8_t { kInFlight, kCommitted };
  enum class Place : std::uint8_t { kFree, kAhead, kGranted, kCommitted, kQuarantined };
  /// A put that was answered "in flight", and which of its keys.
  struct Waiter {
    Put* put;
    std::uint32_t key_index;
  };

  // What a lookup and a hold touch: one cache line.
  HexNumber hash{};
  std::uint32_t family = ChunkName::kNoFamily;
  std::uint32_t tag = 0;  ///< of its key, in the index
  std::uint32_t page = 0;
  std::uint32_t holds = 0;
  std::uint32_t read_holds = 0;  ///< of these, for readers in other processes
  State state = State::kInFlight;
  Place place = Place::kFree;
  bool verifying : 1 = false;  ///< a commit of it is being checked
  /// Committed on the decoder's word, for an LMCache sender: there is no digest.
  bool vouched : 1 = false;
  /// Found damaged after its commit: no longer in the index, freed with its last hold.
  bool condemned : 1 = false;
  /// The page was granted ahead: its writer had it before there was a put.
  bool came_ahead : 1 = false;
  std::uint64_t generation = 0;

  Writer writer;
  std::uint64_t digest = 0;                      ///< as committed; 0 where integrity is off
  std::size_t bytes = 0;                         ///< as granted
  std::unique_ptr<std::vector<Waiter>> waiters;  ///< null: none
  std::uint32_t meta = 0;                        ///< its number in ChunkMetas
  std::uint32_t rounds_quarantined = 0;

  ChunkName name() const { return {hash, family}; }
  void add_waiter(Waiter waiter);
  void drop_waiters_of(const Put* put);
  std::vector<Waiter> take_waiters();
};
static_assert(sizeof(Chunk) == 128);

/// The keys of one message, as the pool knows them: read and looked up once, for all who ask about
/// them in the same turn. Reused from message to message.
struct KeyBatch {
  struct Entry {
    ChunkName name;
    std::uint32_t split = 0;  ///< the cursor's when the name was read
    std::uint32_t tag = 0;
    /// The request that the keys are looked up for holds the chunk.
    bool is_held = false;
    Chunk* chunk = nullptr;  ///< neither in flight nor committed: nullptr
    Chunk* ahead = nullptr;  ///< the page that its sender was granted ahead, and put the chunk in
  };
  std::vector<Entry> entries;  // one a key
  /// The position of a key that stands before it, too; or -1.
  std::int64_t duplicate = -1;

  ChunkNames::Cursor cursor;  // the pool's
  Duplicates seen;            // likewise
};

/// Pages, chunks and reservations, with exact accounting. All methods on the loop.
///
/// A page is free, granted ahead (one process may write it, for no chunk yet), granted (one writer
/// may write it, under one generation), committed (nobody writes; holds keep it, or it is retained
/// as cache), or quarantined (granted once, its writer not yet drained or fenced).
/// docs/protocol.md, "Pages", has every transition.
///
/// A reservation promises pages to an admitted request: `reserved` never exceeds `free + retained`,
/// so that a grant or a hold that consumes a reserved unit can't fail.
class ChunkPool {
 public:
  struct Counts {
    std::uint32_t total = 0;
    std::uint32_t free = 0;
    std::uint32_t ahead = 0;  ///< granted for no chunk yet
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
  /// All of them at once, which is much faster where there are many chunks: the memory that one key
  /// needs is fetched while others are read. Found chunks stay what they are until one is granted,
  /// evicted or removed; held ones longer.
  void look_up(const wire::KeyList& keys, KeyBatch& batch);

  std::string key_of(const Chunk& chunk) const { return names_.text_of(chunk.name()); }
  const TensorMeta& meta_of(const Chunk& chunk) const { return metas_[chunk.meta]; }

  void reserve(std::uint32_t pages);
  void unreserve(std::uint32_t pages);

  /// Turns one reserved unit into a granted page, evicting the least recently used retained chunk
  /// if no page is free. The key must not be there. The chunk begins with one hold.
  Chunk& grant(std::string_view key, const TensorMeta& meta, std::size_t bytes,
               const Writer& writer);
  /// The same for a key of the batch that was looked up last.
  Chunk& grant(std::string_view key, KeyBatch& batch, std::size_t index, const TensorMeta& meta,
               std::size_t bytes, const Writer& writer);

  // ---- pages ahead -----------------------------------------------------------------------------
  /// A page that `sender` may write from now on, evicting if none is free. One must be available().
  Chunk& grant_ahead(const Epoch& sender);
  /// Those of one sender.
  const std::set<std::uint32_t>& ahead_of(const Epoch& sender) const;
  std::vector<Epoch> holders_ahead() const;
  /// The page, if it is granted ahead to `sender` under `generation`; otherwise nullptr.
  Chunk* find_ahead(const Epoch& sender, std::uint32_t page, std::uint64_t generation);
  /// ahead → granted, for a key of the batch that was looked up last, under the page's generation.
  /// As grant(), but consumes no reserved unit.
  Chunk& adopt(Chunk& ahead, std::string_view key, KeyBatch& batch, std::size_t index,
               const TensorMeta& meta, std::size_t bytes, const Writer& writer);
  /// ahead → free. False if `sender` has no such page ahead.
  bool return_ahead(const Epoch& sender, std::uint32_t page, std::uint64_t generation);
  /// ahead → quarantined: all of a process that is gone.
  void quarantine_ahead(const Epoch& sender);
  /// The writer of a page that was granted ahead and for a put since; nullptr if it was not, or is
  /// no longer granted to `sender` under `generation`.
  const Writer* adopter_of(const Epoch& sender, std::uint32_t page, std::uint64_t generation) const;

  std::uint64_t generation_of(std::uint32_t page) const { return chunks_[page].generation; }
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
  /// quarantined → free, if `writer` held `page` under `generation`; else false. Of a page that
  /// came ahead, put id 0 means whatever put it was granted for.
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
  using Place = Chunk::Place;

  std::uint32_t tag_of(std::string_view key) const {
    return static_cast<std::uint32_t>(hash_(key) >> 32U);
  }
  void prefetch(std::uint32_t page) const;
  /// Of the block of keys that begins there, if there is one.
  void read_names(const wire::KeyList& keys, std::size_t begin, KeyBatch& batch);
  /// `first` is evicted now, and most likely those behind it next: what that touches is fetched.
  void prefetch_victims(std::uint32_t first);
  std::uint32_t take_page();
  /// A page becomes a chunk in flight.
  void name(Chunk& chunk, const ChunkName& name, std::uint32_t tag, const TensorMeta& meta,
            std::size_t bytes, const Writer& writer);
  void poison(const Chunk& chunk);
  void forget_ahead(const Chunk& chunk);
  void free_page(std::uint32_t page);
  void forget(Chunk& chunk);
  void evict(Chunk& chunk);
  Chunk* find(const ChunkName& name, std::uint32_t tag);
  Chunk& grant(const ChunkName& name, std::uint32_t tag, const TensorMeta& meta, std::size_t bytes,
               const Writer& writer);

  RegisteredBuffer& buffer_;
  const bool poison_pages_;
  PageAllocator allocator_;
  std::vector<Chunk, HugePageAllocator<Chunk>> chunks_;  // by page
  PageIndex index_;
  KeyedHash hash_;
  ChunkNames names_;
  ChunkMetas metas_;
  LruList retained_;
  // Guesses. Who is held meanwhile leaves the list, and one of these may be none of it any more.
  std::uint32_t next_victim_ = PageIndex::kNone;
  std::uint32_t near_victim_ = 0;
  std::uint32_t far_victim_ = 0;
  std::uint64_t last_generation_ = 0;
  std::map<Epoch, std::set<std::uint32_t>> ahead_;  // by sender; none is empty
  std::uint32_t ahead_count_ = 0;
  std::uint32_t granted_ = 0;
  std::uint32_t quarantined_ = 0;
  std::uint32_t reserved_ = 0;
};

}  // namespace baton::receiver
