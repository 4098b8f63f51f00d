#include "src/transport/loopback/loopback_transport.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace baton::transport {
namespace {

constexpr std::string_view kTicketPrefix = "loopback-";

/// Between two looks whether a mapping is gone.
constexpr Duration kMappingPause = std::chrono::milliseconds(1);

std::string encode_ticket(std::uint64_t number) {
  return fmt::format("loopback-{}", number);
}

StatusOr<std::uint64_t> parse_ticket(std::string_view ticket) {
  std::uint64_t number = 0;
  if (ticket.substr(0, kTicketPrefix.size()) == kTicketPrefix) {
    const char* end = ticket.data() + ticket.size();
    const auto parsed = std::from_chars(ticket.data() + kTicketPrefix.size(), end, number);
    if (parsed.ec == std::errc() && parsed.ptr == end) {
      return number;
    }
  }
  return absl::DataLossError(fmt::format("not a loopback ticket ({} bytes)", ticket.size()));
}

Status closed_error() {
  return absl::FailedPreconditionError(std::string("the loopback transport is closed"));
}

}  // namespace

LoopbackTransport::LoopbackTransport(LoopbackHub& hub, const PeerId& self, Scheduler& process)
    : hub_(hub), scheduler_(process), self_(self), callbacks_(process) {
  hub_.enter(self_, this);
}

LoopbackTransport::~LoopbackTransport() {
  join();
}

Status LoopbackTransport::attach(RegisteredBuffer& buffer) {
  if (buffer_ != nullptr) {
    return absl::FailedPreconditionError(std::string("a buffer is attached already"));
  }
  buffer_ = &buffer;
  return absl::OkStatus();
}

// ---- receiving half ------------------------------------------------------------------------

StatusOr<std::string> LoopbackTransport::expect_peer(const PeerId& peer) {
  if (closed_) {
    return closed_error();
  }
  if (buffer_ == nullptr || guard_ == nullptr) {
    return absl::FailedPreconditionError(
        std::string("attach a buffer and set a guard before expecting peers"));
  }
  for (const auto& [number, fence] : fences_) {
    if (fence.peer == peer) {
      return absl::FailedPreconditionError(
          fmt::format("peer {} is being revoked; wait for its fence", peer.brief()));
    }
  }
  return encode_ticket(tickets_[peer] = hub_.next_ticket_number());
}

Status LoopbackTransport::admit(const PeerId& writer, std::uint64_t ticket_number) {
  const auto ticket = tickets_.find(writer);
  if (ticket == tickets_.end() || ticket->second != ticket_number) {
    return absl::PermissionDeniedError(
        fmt::format("peer {} refused the ticket of {}", self_.brief(), writer.brief()));
  }
  if (writers_.insert(writer).second) {
    tell([writer](TransportObserver& observer) { observer.on_writer_connected(writer); });
  }
  return absl::OkStatus();
}

void LoopbackTransport::revoke(const PeerId& peer, Task fenced) {
  if (closed_) {
    callbacks_.post(std::move(fenced));
    return;
  }
  tickets_.erase(peer);
  ++revocations_[peer];
  lose_writer(peer, absl::OkStatus(), Tell::kNo);
  if (LoopbackTransport* writer = hub_.find(peer)) {
    writer->sever(self_, absl::UnavailableError(
                             fmt::format("peer {} revoked the right to write", self_.brief())));
  }
  const std::uint64_t id = next_fence_++;
  const TimerId timer = schedule_fence(id, hub_.fence_delay(self_, peer));
  fences_.emplace(id, Fence{timer, peer, std::move(fenced)});
}

TimerId LoopbackTransport::schedule_fence(std::uint64_t id, Duration delay) {
  return scheduler_.run_after(delay, [this, id] {
    Fence& due = fences_.at(id);
    LoopbackTransport* writer = hub_.find(due.peer);
    if (writer != nullptr && writer->has_mapped(self_)) {
      due.timer = schedule_fence(id, kMappingPause);
      return;
    }
    Fence proven = std::move(due);
    fences_.erase(id);
    ++fenced_[proven.peer];
    lingering_.erase(proven.peer);
    if (writer != nullptr) {
      writer->cut(self_);
    }
    if (LoopbackConditions* conditions = hub_.conditions(); conditions != nullptr) {
      conditions->on_fenced(self_, proven.peer);
    }
    proven.fenced();
  });
}

/// In a page of that receiver's, which is mapped here.
bool LoopbackTransport::lies_at(const PeerId& receiver, std::span<const std::byte> range) const {
  const LoopbackTransport* owner = hub_.find(receiver);
  return hub_.options().maps_pages && owner != nullptr && owner->buffer_ != nullptr &&
         owner->buffer_->contains(range);
}

bool LoopbackTransport::has_mapped(const PeerId& receiver) const {
  const auto found = mapped_.find(receiver);
  return found != mapped_.end() && !found->second.expired();
}

void LoopbackTransport::lose_writer(const PeerId& writer, const Status& why, Tell tell_it) {
  const bool was_connected = writers_.erase(writer) > 0;
  if (was_connected && !is_guarded()) {
    lingering_.insert(writer);
  }
  if (!was_connected || tell_it == Tell::kNo) {
    return;
  }
  // Not told any more once revoke() was called: that ended whatever was left of the connection.
  auto news = [this, writer, why, revoked = revocations_[writer]](TransportObserver& observer) {
    if (revocations_[writer] == revoked) {
      observer.on_writer_gone(writer, why);
    }
  };
  if (const Duration delay = hub_.notice_delay(self_, writer); delay > Duration::zero()) {
    callbacks_.run_after(delay,
                         [this, news = std::move(news)]() mutable { tell(std::move(news)); });
  } else {
    tell(std::move(news));
  }
}

// ---- sending half --------------------------------------------------------------------------

void LoopbackTransport::connect(const PeerId& receiver, std::string_view ticket, TimePoint deadline,
                                Done done) {
  const auto refuse = [&](Status why) {
    callbacks_.post(
        [done = std::move(done), why = std::move(why)]() mutable { done(std::move(why)); });
  };
  const auto number = parse_ticket(ticket);
  if (closed_ || attempts_.contains(receiver) || links_.contains(receiver)) {
    refuse(closed_ ? closed_error()
                   : absl::FailedPreconditionError(
                         fmt::format("already connected to peer {}", receiver.brief())));
    return;
  }
  if (!number.ok()) {
    refuse(number.status());
    return;
  }
  const TimePoint answer = scheduler_.now() + hub_.connect_delay(self_, receiver);
  Task next = [this, receiver] { finish_connect(receiver); };
  if (answer > deadline) {
    next = [this, receiver] {
      auto attempt = attempts_.extract(receiver);
      attempt.mapped().done(absl::DeadlineExceededError(
          fmt::format("no answer from peer {} before the connect deadline", receiver.brief())));
    };
  }
  const TimerId timer = scheduler_.run_at(std::min(answer, deadline), std::move(next));
  attempts_.emplace(receiver, Attempt{*number, timer, std::move(done)});
}

void LoopbackTransport::finish_connect(const PeerId& receiver) {
  Attempt attempt = std::move(attempts_.extract(receiver).mapped());
  LoopbackTransport* target = hub_.find(receiver);
  if (target == nullptr) {
    attempt.done(absl::UnavailableError(fmt::format("there is no peer {}", receiver.brief())));
    return;
  }
  Status admitted = target->admit(self_, attempt.ticket_number);
  if (admitted.ok()) {
    links_[receiver] = std::make_shared<LoopbackLink>(hub_, self_, receiver, callbacks_);
  }
  attempt.done(std::move(admitted));
}

template <typename Op>
void LoopbackTransport::submit(const PeerId& receiver, std::vector<Op> ops, Done done) {
  std::erase_if(ops, [](const Op& op) { return op.local.empty(); });
  const auto link = links_.find(receiver);
  if (link == links_.end()) {
    Status why =
        closed_ ? closed_error()
                : absl::UnavailableError(fmt::format("not connected to peer {}", receiver.brief()));
    callbacks_.post(
        [done = std::move(done), why = std::move(why)]() mutable { done(std::move(why)); });
    return;
  }
  Status verdict;
  for (const Op& op : ops) {
    if (buffer_ == nullptr || !(buffer_->contains(op.local) || lies_at(receiver, op.local))) {
      verdict.Update(absl::InvalidArgumentError(
          fmt::format("a local range of {} bytes for page {} lies outside the attached buffer",
                      op.local.size(), op.page)));
    }
  }
  link->second->enqueue({ops.begin(), ops.end()}, std::move(verdict), std::move(done));
}

void LoopbackTransport::write_batch(const PeerId& receiver, std::vector<WriteOp> ops, Done done) {
  for (const WriteOp& op : ops) {
    if (op.local.empty() && op.digest != nullptr) {
      *op.digest = digest_of({});  // Nothing of it will land.
    }
  }
  submit(receiver, std::move(ops), std::move(done));
}

void LoopbackTransport::read_batch(const PeerId& receiver, std::vector<ReadOp> ops, Done done) {
  submit(receiver, std::move(ops), std::move(done));
}

namespace {

/// Of a buffer in this process. As long as it is used, it must outlive its owner, as memory that is
/// mapped does.
class LoopbackPages final : public MappedPages {
 public:
  explicit LoopbackPages(RegisteredBuffer& buffer) : buffer_(buffer) {}
  std::span<std::byte> page(std::uint32_t page) const override {
    return page < buffer_.page_count() ? buffer_.page(page) : std::span<std::byte>();
  }

 private:
  RegisteredBuffer& buffer_;
};

}  // namespace

std::shared_ptr<const MappedPages> LoopbackTransport::map_pages(const PeerId& receiver) {
  const LoopbackTransport* owner = hub_.find(receiver);
  if (!hub_.options().maps_pages || !links_.contains(receiver) || owner == nullptr ||
      owner->buffer_ == nullptr) {
    return nullptr;
  }
  auto pages = mapped_[receiver].lock();
  if (pages == nullptr) {
    pages = std::make_shared<LoopbackPages>(*owner->buffer_);
    mapped_[receiver] = pages;
  }
  return pages;
}

void LoopbackTransport::disconnect(const PeerId& receiver) {
  const Status why = absl::CancelledError(fmt::format("disconnected from {}", receiver.brief()));
  if (auto attempt = attempts_.extract(receiver)) {
    scheduler_.cancel(attempt.mapped().timer);
    callbacks_.post(
        [done = std::move(attempt.mapped().done), why]() mutable { done(std::move(why)); });
    return;
  }
  if (!links_.contains(receiver)) {
    return;
  }
  lose_receiver(receiver, why, Tell::kNo);
  if (LoopbackTransport* target = hub_.find(receiver)) {
    target->lose_writer(self_,
                        absl::UnavailableError(fmt::format("peer {} disconnected", self_.brief())),
                        Tell::kYes);
  }
}

void LoopbackTransport::sever(const PeerId& receiver, const Status& why) {
  const auto found = links_.find(receiver);
  if (found == links_.end()) {
    return;
  }
  const Duration delay = hub_.notice_delay(self_, receiver);
  if (delay == Duration::zero()) {
    lose_receiver(receiver, why, Tell::kYes);
    return;
  }
  if (LoopbackConditions* conditions = hub_.conditions();
      conditions != nullptr && !conditions->guarded(receiver)) {
    found->second->sever_writes();
  } else {
    found->second->sever();
  }
  callbacks_.run_after(delay, [this, receiver, why, weak = std::weak_ptr(found->second)] {
    const auto link = weak.lock();
    if (const auto now = links_.find(receiver); now != links_.end() && now->second == link) {
      lose_receiver(receiver, why, Tell::kYes);
    }
  });
}

void LoopbackTransport::cut(const PeerId& receiver) {
  if (const auto found = links_.find(receiver); found != links_.end()) {
    found->second->sever();
  }
}

void LoopbackTransport::lose_receiver(const PeerId& receiver, const Status& why, Tell tell_it) {
  const auto link = links_.extract(receiver);
  if (link.empty()) {
    return;
  }
  link.mapped()->end(why);
  if (tell_it == Tell::kYes) {
    tell(
        [receiver, why](TransportObserver& observer) { observer.on_receiver_gone(receiver, why); });
  }
}

// ---- end -----------------------------------------------------------------------------------

void LoopbackTransport::tell(absl::AnyInvocable<void(TransportObserver&)> news) {
  callbacks_.post([this, news = std::move(news)]() mutable {
    if (!closed_ && observer_ != nullptr) {
      news(*observer_);
    }
  });
}

void LoopbackTransport::end_links(const Status& why) {
  const Status gone = absl::UnavailableError(fmt::format("peer {} is gone", self_.brief()));
  for (const auto& [receiver, link] : std::exchange(links_, {})) {
    link->end(why);
    if (LoopbackTransport* target = hub_.find(receiver)) {
      target->lose_writer(self_, gone, Tell::kYes);
    }
  }
  for (const PeerId& writer : std::exchange(writers_, {})) {
    if (LoopbackTransport* source = hub_.find(writer)) {
      source->sever(self_, gone);
    }
  }
}

void LoopbackTransport::close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  const Status why = absl::CancelledError(std::string("the loopback transport was closed"));
  end_links(why);
  for (auto& [receiver, attempt] : std::exchange(attempts_, {})) {
    scheduler_.cancel(attempt.timer);
    callbacks_.post([done = std::move(attempt.done), why]() mutable { done(std::move(why)); });
  }
  for (auto& [id, fence] : std::exchange(fences_, {})) {
    scheduler_.cancel(fence.timer);
    callbacks_.post(std::move(fence.fenced));
  }
  tickets_.clear();
}

void LoopbackTransport::die() {
  callbacks_.silence();
  close();
}

void LoopbackTransport::join() {
  // Also silences news still queued for an observer that may be gone next.
  callbacks_.silence();
  if (hub_.find(self_) == this) {
    hub_.leave(self_);
  }
}

}  // namespace baton::transport
