// Who reads which committed chunks: the holds that keep their pages until the readers are done.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "baton/status.h"
#include "src/base/epoch.h"
#include "src/base/scheduler.h"
#include "src/receiver/config.h"
#include "src/receiver/request_table.h"
#include "src/wire/messages.h"

namespace baton::receiver {

/// A read is held from its request until its release, or until its reader is fenced. No clock ends
/// it: one that takes too long is only told of, so that its reader can be fenced. docs/protocol.md,
/// "Reads". All methods on the loop.
class Reads {
 public:
  Reads(Scheduler& scheduler, RequestTable& table, const Config& config)
      : scheduler_(scheduler), table_(table), config_(config) {}

  /// Holds what is there of a connected peer's read, and says where it is. One that is known gets
  /// the same answer. kResourceExhausted and kInvalidArgument with the numbers.
  StatusOr<wire::ReadResponse> begin(const wire::ReadRequest& message);
  /// Nothing happens for one that is not known.
  void end(const Epoch& reader, std::uint64_t read_id);
  /// All reads of a process that can read no more.
  void end_fenced(const Epoch& reader);

  /// For a transport's guard: `reader` holds the chunk in that page.
  bool may_read(const Epoch& reader, std::uint32_t page, std::uint64_t generation,
                std::uint64_t offset_bytes, std::uint64_t length_bytes) const;

  /// A read that should have been released.
  struct Overdue {
    Epoch reader;
    wire::ReadResponse answer;
    bool is_last_word = false;  ///< its reader was reminded, and has to be fenced
  };
  /// In order; each twice at most: to be reminded half a lease after its time, and to be fenced
  /// after a whole one.
  std::vector<Overdue> find_overdue();

  std::size_t count() const;

 private:
  struct Hit {
    std::uint32_t key_index;
    Chunk* chunk;
  };
  struct Read {
    std::uint32_t key_count = 0;
    std::vector<Hit> hits;
    TimePoint due{};
    bool reminded = false;
  };
  /// A page that a process reads, however often.
  struct HeldPage {
    std::uint64_t generation = 0;
    std::uint64_t bytes = 0;
    std::uint32_t reads = 0;
  };
  struct Reader {
    std::map<std::uint64_t, Read> reads;  // ordered: runs must be repeatable
    absl::flat_hash_map<std::uint32_t, HeldPage> pages;
    std::uint64_t chunks = 0;  // of all reads
  };

  Status check(const Reader* reader, const wire::ReadRequest& message) const;
  bool may_hit(const Chunk* chunk, bool somebody_waits) const;
  wire::ReadResponse describe(std::uint64_t read_id, const Read& read) const;
  void hold(Reader& reader, Chunk& chunk);
  void unhold(Reader& reader, const Read& read);

  Scheduler& scheduler_;
  RequestTable& table_;
  const Config& config_;
  std::map<Epoch, Reader> readers_;
  KeyBatch keys_;  // of the message that is being handled
};

}  // namespace baton::receiver
