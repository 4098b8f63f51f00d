// Pages that the receiver has granted before anybody puts: PeerLink's half that asks for them, and
// gives them back. docs/protocol.md, "Pages ahead".
#include <fmt/format.h>

#include <utility>

#include "src/base/log.h"
#include "src/sender/peer_link.h"

namespace baton::sender {
namespace {

/// A receiver that had fewer than were wanted is asked again after this.
constexpr Duration kPause = std::chrono::milliseconds(100);

}  // namespace

void PeerLink::start_ahead() {
  if (config_.pages_ahead == 0 || is_stock_ || !has_pages_ahead(welcome_.version)) {
    return;
  }
  auto mapping = transport_->map_pages(welcome_.epoch);
  if (mapping == nullptr) {
    return;
  }
  ahead_ = AheadStock::create(scheduler_, std::move(mapping),
                              attempt_->guard([this](const std::vector<AheadStock::Page>& pages) {
                                wire::DrainNotif drained;
                                drained.parties = parties();
                                for (const AheadStock::Page& page : pages) {
                                  drained.pages.push_back(page.page);
                                  drained.generations.push_back(page.generation);
                                }
                                send_drain(std::move(drained));
                              }));
  ahead_question_.parties = parties();
  ahead_pause_ = {};
  ask_ahead();
}

void PeerLink::stop_ahead() {
  if (ahead_ != nullptr) {
    std::exchange(ahead_, nullptr)->close();
  }
  ahead_asked_ = false;
  ahead_waiting_.clear();
  ahead_resend_.stop();
}

std::unique_ptr<PeerLink::AheadWish> PeerLink::wish_ahead(std::uint32_t pages) {
  ahead_wished_ += pages;
  if (ahead_ != nullptr) {
    ask_ahead();
  }
  return std::make_unique<AheadWish>(*this, pages);
}

void PeerLink::when_answered(Task task) {
  if (ahead_asked_) {
    ahead_waiting_.push_back(std::move(task));
  } else {
    task();
  }
}

void PeerLink::wish_less(std::uint32_t pages) {
  ahead_wished_ -= pages;
  if (ahead_ != nullptr) {
    ahead_->keep(ahead_target());
  }
}

void PeerLink::refill_ahead() {
  // Half of them at a time: a question for many puts.
  if (ahead_ != nullptr && 2 * ahead_->free_count() <= pages_for_puts()) {
    ask_ahead();
  }
}

std::uint32_t PeerLink::pages_for_puts() const {
  const wire::LayoutInfo& layout = config_.layout;
  const auto chunk_bytes = TensorMeta{layout.shape, layout.dtype, layout.fmt}.bytes();
  return chunk_bytes.value_or(0) <= config_.ahead_bytes ? config_.pages_ahead : 0;
}

void PeerLink::ask_ahead() {
  ahead_->keep(ahead_target());
  const auto there = static_cast<std::uint32_t>(ahead_->free_count());
  if (ahead_asked_ || there >= ahead_target() || scheduler_.now() < ahead_pause_) {
    return;
  }
  ++ahead_question_.sequence;
  ahead_question_.count = ahead_target() - there;
  if (Status sent = send(ahead_question_); !sent.ok()) {
    log::debug("no pages ahead: {}", std::string(sent.message()));
    ahead_pause_ = scheduler_.now() + kPause;
    return;
  }
  ahead_asked_ = true;
  ahead_resend_.start([this] {
    if (Status sent = send(ahead_question_); !sent.ok()) {
      log::debug("pages ahead were not asked for again: {}", std::string(sent.message()));
    }
  });
}

Status PeerLink::write_at_once(const std::vector<transport::WriteOp>& ops) {
  return state_ == State::kReady && !is_stock_
             ? transport_->write_at_once(welcome_.epoch, ops)
             : absl::UnavailableError(
                   fmt::format("receiver {} is not connected", address_.init_endpoint));
}

void PeerLink::on_ahead_grant(const wire::AheadGrant& grant) {
  if (ahead_ == nullptr || !ahead_asked_ || grant.sequence != ahead_question_.sequence) {
    return;  // Said again: what it grants was taken, and may have gone back since.
  }
  ahead_asked_ = false;
  ahead_resend_.stop();
  if (grant.pages.size() < ahead_question_.count) {
    ahead_pause_ = scheduler_.now() + kPause;
  }
  std::vector<AheadStock::Page> pages;
  for (std::size_t i = 0; i < grant.pages.size(); ++i) {
    if (grant.pages[i] >= welcome_.page_count) {
      reset(absl::DataLossError(fmt::format("receiver {} granted page {} of {} ahead",
                                            address_.alloc_endpoint, grant.pages[i],
                                            welcome_.page_count)));
      return;
    }
    pages.push_back({grant.pages[i], grant.generations[i]});
  }
  ahead_->add(pages);
  for (Task& asked : std::exchange(ahead_waiting_, {})) {
    asked();
  }
}

void PeerLink::recall_ahead(const wire::DrainRequest& recall) {
  std::vector<AheadStock::Page> pages;
  for (std::size_t i = 0; i < recall.pages.size(); ++i) {
    pages.push_back({recall.pages[i], recall.generations[i]});
  }
  if (ahead_ != nullptr) {
    ahead_->recall(pages, !ahead_asked_);
    ahead_pause_ = scheduler_.now() + kPause;  // Somebody else needs them.
  }
}

}  // namespace baton::sender
