#include "src/transport/ucx/outbound_rails.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/log.h"
#include "src/transport/post_done.h"
#include "src/transport/tcp/spread.h"
#include "src/transport/ucx/sealing.h"

namespace baton::transport::ucx {
namespace {

/// Each rail gets at least as much of a batch, if it gets any: less isn't worth another put.
constexpr std::size_t kMinShareBytes = std::size_t{64} << 10U;

/// A batch is done when the last rail is, so each gets its part; in whole kMinShareBytes.
template <typename Op>
std::size_t share_bytes(const std::vector<Op>& ops, std::size_t rails) {
  std::size_t bytes = 0;
  for (const Op& op : ops) {
    bytes += op.local.size();
  }
  const std::size_t unit = rails * kMinShareBytes;
  return (bytes + unit - 1) / unit * kMinShareBytes;
}

}  // namespace

OutboundRails::OutboundRails(Reactor& reactor, const UcxOptions& options,
                             const std::vector<std::unique_ptr<Context>>& contexts, tcp::Call call)
    : reactor_(reactor),
      options_(options),
      contexts_(contexts),
      hello_([&] {
        tcp::Hello hello = call.hello;
        hello.nonce = random_nonce();
        return hello;
      }()),
      secret_(call.secret),
      connected_(std::move(call.connected)),
      ended_(std::move(call.ended)),
      deadline_timer_(reactor.run_at(call.deadline, [this] {
        fail(absl::DeadlineExceededError(fmt::format(
            "peer {} can't be written to before the connect deadline: {}", hello_.receiver.brief(),
            rails_.empty() ? "it does not answer"
                           : "its RDMA device does not answer (see `baton doctor`)")));
      })) {
  opening_.emplace(reactor, options.line, std::move(call.sockets.front()), hello_, secret_,
                   [this](StatusOr<UniqueFd> socket) { on_opened(std::move(socket)); });
}

OutboundRails::~OutboundRails() {
  close(absl::CancelledError(std::string("destroyed")));
}

void OutboundRails::on_opened(StatusOr<UniqueFd> socket) {
  if (!socket.ok()) {
    fail(socket.status());
    return;
  }
  opening_.reset();
  line_ = std::make_unique<Line>(
      reactor_, options_.line, *std::move(socket), kMaxSealedBytes,
      Line::Actions{.receive = [this](std::string_view message) { return take_welcome(message); },
                    .end = [this](const Status& why) { fail(why); }});
}

Status OutboundRails::take_welcome(std::string_view message) {
  if (!rails_.empty()) {
    return absl::DataLossError(std::string("the receiver describes its memory twice"));
  }
  auto plain = open_sealed(message, secret_, hello_);
  if (!plain.ok()) {
    return plain.status();
  }
  const auto welcome = parse_welcome(*plain);
  wipe(*plain);
  if (!welcome.ok()) {
    return welcome.status();
  }
  target_ = {.base_address = welcome->base_address,
             .page_bytes = welcome->page_bytes,
             .page_count = welcome->page_count};
  const std::size_t rails = std::min(contexts_.size(), welcome->rails.size());
  for (std::size_t i = 0; i < rails; ++i) {
    auto rail = Rail::connect(reactor_, *contexts_[i], options_, target_, welcome->rails[i],
                              static_cast<RailOwner&>(*this));
    if (!rail.ok()) {
      return rail.status();
    }
    rails_.push_back(*std::move(rail));
  }
  return absl::OkStatus();
}

void OutboundRails::on_rail_completed() {
  if (open_) {
    finish_batches();
  } else {
    open_if_wired();
  }
}

void OutboundRails::open_if_wired() {
  open_ = std::all_of(rails_.begin(), rails_.end(),
                      [](const auto& rail) { return rail->last_completed() > 0; });
  if (!open_) {
    return;
  }
  reactor_.cancel(std::exchange(deadline_timer_, kNoTimer));
  for (const auto& rail : rails_) {
    log::info("ucx: writes to peer {} go by {}", hello_.receiver.brief(), rail->lanes());
  }
  post_done(reactor_, std::exchange(connected_, nullptr), absl::OkStatus());
}

template <typename Op>
bool OutboundRails::fits(const std::vector<Op>& ops) const {
  return std::all_of(ops.begin(), ops.end(), [this](const Op& op) {
    return op.page < target_.page_count && op.local.size() <= target_.page_bytes &&
           op.offset_bytes <= target_.page_bytes - op.local.size();
  });
}

template <typename Op>
void OutboundRails::move_batch(const std::vector<Op>& ops, Status verdict, Done done) {
  if (verdict.ok() && !fits(ops)) {
    // Nobody at the other end would notice.
    verdict = absl::InvalidArgumentError(
        fmt::format("a range outside the {} pages of {} bytes of peer {}", target_.page_count,
                    target_.page_bytes, hello_.receiver.brief()));
  }
  tcp::BatchLedger::Sequences parts;
  if (verdict.ok()) {
    parts = push(ops);
  }
  batches_.add(std::move(parts), std::move(verdict), std::move(done));
  finish_batches();
}

void OutboundRails::write_batch(const std::vector<WriteOp>& ops, Status verdict, Done done) {
  move_batch(ops, std::move(verdict), std::move(done));
}

void OutboundRails::read_batch(const std::vector<ReadOp>& ops, Status verdict, Done done) {
  move_batch(ops, std::move(verdict), std::move(done));
}

template <typename Op>
tcp::BatchLedger::Sequences OutboundRails::push(const std::vector<Op>& ops) {
  std::vector<std::uint64_t> load_bytes;
  for (const auto& rail : rails_) {
    if (rails_.size() > 1) {
      rail->catch_up();
    }
    load_bytes.push_back(rail->unfinished_bytes());
  }
  const tcp::Parts<Op> parts = tcp::spread(
      ops, std::move(load_bytes), std::min(share_bytes(ops, rails_.size()), options_.piece_bytes));
  tcp::BatchLedger::Sequences sequences;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    sequences.push_back(parts[i].empty() ? 0 : rails_[i]->push({parts[i].begin(), parts[i].end()}));
  }
  return sequences;
}

void OutboundRails::finish_batches() {
  tcp::BatchLedger::Sequences completed;
  for (const auto& rail : rails_) {
    completed.push_back(rail->last_completed());
  }
  post(batches_.take_finished(completed));
}

void OutboundRails::post(std::vector<tcp::BatchLedger::Finished> batches) {
  for (tcp::BatchLedger::Finished& batch : batches) {
    post_done(reactor_, std::move(batch.done), std::move(batch.status));
  }
}

void OutboundRails::close(const Status& why) {
  reactor_.cancel(std::exchange(deadline_timer_, kNoTimer));
  opening_.reset();
  for (const auto& rail : rails_) {
    rail->begin_close();
  }
  const TimePoint limit = reactor_.now() + kMaxCloseTime;  // for all of them
  for (const auto& rail : rails_) {
    rail->finish_close(limit);
  }
  line_.reset();  // The receiver hears of the end when nothing is under way any more.
  if (connected_) {
    post_done(reactor_, std::exchange(connected_, nullptr), why);
  }
  post(batches_.abandon(why));
}

void OutboundRails::fail(const Status& why) {
  const bool was_open = std::exchange(open_, false);
  Ended ended = std::move(ended_);
  close(why);
  ended(why, was_open);
}

}  // namespace baton::transport::ucx
