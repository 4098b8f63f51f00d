// What a link has of an LMCache receiver: the second half of the handshake, its pages, and one
// question at a time. docs/interop.md.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "baton/status.h"
#include "src/base/lifetime.h"
#include "src/base/scheduler.h"
#include "src/control/control.h"
#include "src/sender/config.h"
#include "src/transport/stock_plane.h"
#include "src/wire/messages.h"

namespace baton::sender {

/// Its agent lives as long as this. All methods on the loop.
class StockLink {
 public:
  /// The link is of no use any more.
  using Broken = absl::AnyInvocable<void(const Status& why)>;
  StockLink(Scheduler& scheduler, transport::StockPlane& plane, const Config& config,
            Broken broken);
  ~StockLink();
  StockLink(const StockLink&) = delete;
  StockLink& operator=(const StockLink&) = delete;

  // ---- handshake -----------------------------------------------------------------------------
  /// Makes the agent. First of all.
  Status open();
  const std::string& metadata() const { return door_.metadata; }
  /// The receiver's answer to the metadata; returns what it is asked next.
  StatusOr<wire::NixlMemRegRequest> introduce(const wire::NixlInitResponse& response,
                                              const std::string& local_id);
  bool introduced() const { return introduced_; }
  /// Its answer to that; returns what a Baton receiver's welcome would say of its pages. Questions
  /// go to `alloc` from now on, which outlives this.
  StatusOr<wire::Welcome> take_pages(const wire::NixlMemRegResponse& response,
                                     control::Client& alloc);

  // ---- when ready ----------------------------------------------------------------------------
  void write_batch(std::vector<transport::WriteOp> ops, transport::Done done) {
    plane_.write_batch(door_.id, std::move(ops), std::move(done));
  }
  void read_batch(std::vector<transport::ReadOp> ops, transport::Done done) {
    plane_.read_batch(door_.id, std::move(ops), std::move(done));
  }

  using Answer = absl::AnyInvocable<void(const wire::AllocResponse& response)>;
  /// Asked when those before it are answered, and never again. If there is no answer by the
  /// deadline the link is broken: what comes later could be any question's.
  void ask(const wire::AllocRequest& request, TimePoint deadline, Answer answer);
  void on_answer(const wire::AllocResponse& response);
  /// Nothing of the request is under way any more: an async receiver gets its pages back.
  void cancel(const std::string& req_id);
  /// The request has succeeded.
  void forget(const std::string& req_id) { granted_.erase(req_id); }

 private:
  struct Question {
    std::string bytes;
    std::string req_id;
    wire::KeyList keys;
    TimePoint deadline;  // of a CancelNotif: set when it is sent
    Answer answer;       // empty: of a CancelNotif
  };
  struct Granted {
    wire::KeyList keys;
    bool cancelled = false;
  };

  void send_next();
  void give_up(const Status& why);
  void tell_cancelled(const std::string& req_id);
  bool is_asked_for(const std::string& req_id) const;

  Scheduler& scheduler_;
  transport::StockPlane& plane_;
  const Config& config_;
  Broken broken_;
  transport::StockPlane::Door door_;
  bool open_ = false;
  bool introduced_ = false;
  control::Client* alloc_ = nullptr;
  std::deque<Question> questions_;  // the first is sent, if asked_
  bool asked_ = false;
  TimerId timer_ = kNoTimer;
  std::optional<bool> is_async_;            // known by its first answer
  std::map<std::string, Granted> granted_;  // by req_id
  Lifetime lifetime_;
};

/// Which page each key is granted; nullopt where the receiver has the chunk. kResourceExhausted if
/// it refused one, kDataLoss for nonsense.
StatusOr<std::vector<std::optional<std::uint32_t>>> pages_of(const wire::AllocResponse& response,
                                                             std::size_t keys,
                                                             std::uint32_t page_count);

}  // namespace baton::sender
