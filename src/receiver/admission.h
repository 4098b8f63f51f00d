// Which request may take pages next: whole requests, first come, first served.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstdint>
#include <list>

#include "baton/status.h"
#include "src/receiver/chunk_pool.h"
#include "src/receiver/request.h"

namespace baton::receiver {

/// Promise P4. A request is admitted with everything that it may need, or waits holding nothing, or
/// is refused. Smaller requests may overtake a waiting one, but each only kMaxOvertaken times:
/// after that everybody behind it waits until it fits. Nobody overtakes one that waits for nothing
/// but pages that are granted ahead: they were asked back, and are its.
class Admission {
 public:
  static constexpr std::uint32_t kMaxOvertaken = 8;

  explicit Admission(ChunkPool& pool) : pool_(pool) {}

  /// kResourceExhausted with the numbers if the request exceeds the whole pool.
  Status check_possible(const Request& request) const;

  /// Admits at once, or returns false: others wait already, or it doesn't fit now. `keys`: the
  /// request's, as they were looked up in this turn; empty if it is only counted. Says there which
  /// chunks the request holds now.
  bool try_admit(Request& request, KeyBatch& keys);
  /// At the end, or, if it has been here before, at its old place.
  void enqueue(Request& request);
  void forget(Request& request) { queue_.remove(&request); }

  /// Admits whoever can be; `admitted` is called for each.
  void pump(absl::FunctionRef<void(Request&)> admitted);

  /// It has been admitted before those that came before it and wait still.
  void count_overtaking(const Request& request);

  std::size_t waiting() const { return queue_.size(); }

  bool fits(const Request& request);
  /// Takes what it may need. It fits.
  void admit(Request& request);
  /// The opposite, before anything was granted: it waits again.
  void withdraw(Request& request);

 private:
  bool fits(const Request& request, const KeyBatch& keys) const;
  /// Of one that was just found not to fit: its keys are in keys_.
  bool awaits_pages_ahead(const Request& request) const;
  static std::uint32_t needed(const Request& request, const KeyBatch& keys);
  void admit(Request& request, KeyBatch& keys);

  ChunkPool& pool_;
  KeyBatch keys_;              // of the request that is being looked at
  std::list<Request*> queue_;  // by arrival
  std::uint64_t last_arrival_ = 0;
};

}  // namespace baton::receiver
