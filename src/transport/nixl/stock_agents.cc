#include "src/transport/nixl/stock_agents.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/log.h"
#include "src/transport/nixl/host.h"
#include "src/transport/post_done.h"

namespace baton::transport::nixl {

StatusOr<std::unique_ptr<StockAgents>> StockAgents::create(Reactor& reactor, const PeerId& self,
                                                           NixlOptions options,
                                                           RegisteredBuffer& buffer) {
  const auto rdma = check_host(options);
  if (!rdma.ok()) {
    return rdma.status();
  }
  if (Status works = check_agents(*rdma); !works.ok()) {
    return works;
  }
  return std::unique_ptr<StockAgents>(
      new StockAgents(reactor, self, std::move(options), *rdma, buffer));
}

StockAgents::StockAgents(Reactor& reactor, const PeerId& self, NixlOptions options, bool rdma,
                         RegisteredBuffer& buffer)
    : reactor_(reactor),
      name_prefix_(fmt::format("baton-{}-stock", self.hex())),
      options_(std::move(options)),
      rdma_(rdma),
      buffer_(buffer),
      workshop_(std::make_unique<Workshop>(reactor)) {}

StockAgents::~StockAgents() {
  close();
  workshop_.reset();  // Waits: now nothing touches memory any more.
  for (auto& [id, peer] : std::exchange(peers_, {})) {
    settle(peer);
  }
}

void StockAgents::close() {
  closed_ = true;
  std::vector<StockPeerId> ids;
  for (const auto& [id, peer] : peers_) {
    ids.push_back(id);
  }
  for (const StockPeerId id : ids) {
    revoke(id, [] {});
  }
}

std::vector<PageAddress> StockAgents::own_pages() const {
  std::vector<PageAddress> pages;
  for (std::uint32_t page = 0; page < buffer_.page_count(); ++page) {
    pages.push_back({.address = reinterpret_cast<std::uintptr_t>(buffer_.page(page).data()),
                     .length_bytes = buffer_.page_bytes()});
  }
  return pages;
}

StatusOr<std::string> StockAgents::check(std::string_view metadata) const {
  auto checked = check_metadata(metadata);
  if (!checked.ok()) {
    return checked.status();
  }
  return std::move(checked->agent_name);
}

StatusOr<StockPlane::Door> StockAgents::open_door() {
  if (closed_) {
    return absl::FailedPreconditionError(std::string("the stock plane is closed"));
  }
  const StockPeerId id = ++last_id_;
  auto agent = Agent::create(fmt::format("{}-{}", name_prefix_, id),
                             {.progress_thread = true, .rdma = rdma_});
  if (!agent.ok()) {
    return agent.status();
  }
  if (Status status = (*agent)->register_memory({buffer_.data(), buffer_.size_bytes()});
      !status.ok()) {
    return status;
  }
  auto metadata = (*agent)->metadata();
  if (!metadata.ok()) {
    return metadata.status();
  }
  Door door{.id = id,
            .agent_name = (*agent)->name(),
            .metadata = *std::move(metadata),
            .pages = own_pages()};
  Peer& peer = peers_[id];
  peer.agent = *std::move(agent);
  peer.notifications.emplace(reactor_, *peer.agent, [this, id](const Status& why) {
    log::warning("stock peer {} is cut off: {}", id, std::string(why.message()));
    end(id, why);
  });
  return door;
}

StatusOr<StockAgents::Peer*> StockAgents::find(StockPeerId peer) {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) {
    return absl::NotFoundError(fmt::format("there is no stock peer {}", peer));
  }
  return &found->second;
}

StatusOr<std::string> StockAgents::introduce(StockPeerId id, std::string_view metadata) {
  const auto peer = find(id);
  if (!peer.ok()) {
    return peer.status();
  }
  if (!(*peer)->metadata.agent_name.empty()) {
    return absl::FailedPreconditionError(fmt::format("stock peer {} is introduced already", id));
  }
  auto checked = check_metadata(metadata);
  if (!checked.ok()) {
    return checked.status();
  }
  if (Status status = (*peer)->agent->introduce(std::string(metadata), checked->agent_name);
      !status.ok()) {
    return status;
  }
  (*peer)->metadata = *std::move(checked);
  return (*peer)->metadata.agent_name;
}

Status StockAgents::set_pages(StockPeerId id, PageMemory memory,
                              const std::vector<PageAddress>& pages) {
  const auto found = find(id);
  if (!found.ok()) {
    return found.status();
  }
  Peer& peer = **found;
  if (peer.metadata.agent_name.empty() || peer.transfers != nullptr) {
    return absl::FailedPreconditionError(
        fmt::format("stock peer {} has to be introduced first, and names its pages once", id));
  }
  if (memory != PageMemory::kDram) {
    return absl::InvalidArgumentError(
        fmt::format("stock peer {} has its pages in a GPU's memory; only the host's is known", id));
  }
  if (pages.empty()) {
    return absl::InvalidArgumentError(fmt::format("stock peer {} names no pages", id));
  }
  for (std::size_t i = 0; i < pages.size(); ++i) {
    const PageAddress& page = pages[i];
    if (!covers(peer.metadata, page.address, page.length_bytes, page.device)) {
      return absl::InvalidArgumentError(
          fmt::format("page {} of stock peer {}, {} bytes at {:#x}, lies outside of what its agent "
                      "has registered",
                      i, id, page.length_bytes, page.address));
    }
  }
  if (Status status = peer.agent->prepare_pages(own_pages(), pages); !status.ok()) {
    return status;
  }
  peer.pages = pages;
  peer.transfers = std::make_unique<Transfers>(reactor_, options_, *peer.agent,
                                               [this, id](const Status& why) { end(id, why); });
  return absl::OkStatus();
}

Status StockAgents::check(const Peer& peer, const std::vector<Move>& moves) const {
  if (peer.transfers == nullptr) {
    return peer.trouble.ok() ? absl::FailedPreconditionError(
                                   std::string("the stock peer has not named its pages yet"))
                             : peer.trouble;
  }
  for (const Move& move : moves) {
    if (!buffer_.contains(move.local)) {
      return absl::InvalidArgumentError(
          fmt::format("a local range of {} bytes for page {} lies outside the attached buffer",
                      move.local.size(), move.page));
    }
    const std::uint64_t page_bytes =
        move.page < peer.pages.size() ? peer.pages[move.page].length_bytes : 0;
    if (move.local.size() > page_bytes || move.offset_bytes > page_bytes - move.local.size()) {
      return absl::InvalidArgumentError(
          fmt::format("{} bytes at {} of page {} lie outside the {} pages of the stock peer",
                      move.local.size(), move.offset_bytes, move.page, peer.pages.size()));
    }
  }
  return absl::OkStatus();
}

Batch StockAgents::batch_of(const Peer& peer, const std::vector<Move>& moves) const {
  Batch batch;
  bool whole_pages = true;
  for (const Move& move : moves) {
    if (move.local.empty()) {
      continue;
    }
    const PageAddress& page = peer.pages[move.page];
    batch.ranges.push_back({.local = reinterpret_cast<std::uintptr_t>(move.local.data()),
                            .remote = page.address + move.offset_bytes,
                            .length_bytes = move.local.size(),
                            .remote_device = page.device});
    const auto at = static_cast<std::size_t>(move.local.data() - buffer_.data());
    whole_pages = whole_pages && move.local.size() == page.length_bytes &&
                  move.local.size() == buffer_.page_bytes() && at % buffer_.page_bytes() == 0;
    if (whole_pages) {
      batch.local_pages.push_back(static_cast<int>(at / buffer_.page_bytes()));
      batch.remote_pages.push_back(static_cast<int>(move.page));
    }
  }
  if (!whole_pages) {
    batch.local_pages.clear();
    batch.remote_pages.clear();
  }
  return batch;
}

void StockAgents::move_batch(StockPeerId id, Direction direction, const std::vector<Move>& moves,
                             Done done) {
  const auto found = find(id);
  Status verdict = found.ok() ? check(**found, moves) : found.status();
  if (!found.ok() || (*found)->transfers == nullptr) {
    post_done(reactor_, std::move(done), std::move(verdict));
    return;
  }
  Batch batch = verdict.ok() ? batch_of(**found, moves) : Batch();
  batch.direction = direction;
  batch.verdict = std::move(verdict);
  batch.done = std::move(done);
  (*found)->transfers->add(std::move(batch));
}

void StockAgents::write_batch(StockPeerId peer, std::vector<WriteOp> ops, Done done) {
  std::vector<Move> moves;
  for (const WriteOp& op : ops) {
    moves.push_back({.local = op.local, .page = op.page, .offset_bytes = op.offset_bytes});
  }
  move_batch(peer, Direction::kWrite, moves, std::move(done));
}

void StockAgents::read_batch(StockPeerId peer, std::vector<ReadOp> ops, Done done) {
  std::vector<Move> moves;
  for (const ReadOp& op : ops) {
    moves.push_back({.local = op.local, .page = op.page, .offset_bytes = op.offset_bytes});
  }
  move_batch(peer, Direction::kRead, moves, std::move(done));
}

/// Begins the end of its agent; only when that is over its batches' callbacks fire, for until then
/// local memory may be touched.
void StockAgents::end(StockPeerId id, const Status& reason) {
  const Status why = reason;  // Who says it ends here.
  Peer& peer = peers_.at(id);
  if (peer.agent == nullptr) {
    return;
  }
  peer.trouble = why;
  peer.notifications.reset();
  if (peer.transfers != nullptr) {
    peer.left = peer.transfers->abandon();
    peer.transfers.reset();
  }
  workshop_->bury(std::move(peer.agent), [this, id] { on_gone(id); });
}

void StockAgents::on_gone(StockPeerId id) {
  Peer& peer = peers_.at(id);
  peer.gone = true;
  const bool revoked = !peer.fences.empty();
  settle(peer);
  if (revoked) {
    peers_.erase(id);
  }
}

/// Its agent is no more: says so to all who wait for that.
void StockAgents::settle(Peer& peer) {
  for (Batch& batch : std::exchange(peer.left, {})) {
    post_done(reactor_, std::move(batch.done), batch.verdict.ok() ? peer.trouble : batch.verdict);
  }
  for (Task& fenced : std::exchange(peer.fences, {})) {
    reactor_.post(std::move(fenced));
  }
}

void StockAgents::revoke(StockPeerId id, Task fenced) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) {
    reactor_.post(std::move(fenced));
    return;
  }
  found->second.fences.push_back(std::move(fenced));
  end(id, absl::CancelledError(fmt::format("stock peer {} was revoked", id)));
  if (found->second.gone) {
    on_gone(id);
  }
}

}  // namespace baton::transport::nixl
