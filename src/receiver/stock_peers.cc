#include "src/receiver/stock_peers.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "src/base/log.h"
#include "src/base/text.h"
#include "src/wire/xfer_dlist.h"

namespace baton::receiver {
namespace {

/// Between the two halves of a handshake.
constexpr Duration kRegisterWait = std::chrono::seconds(30);
/// What an async sender's alloc socket has after its local_id.
constexpr std::string_view kTo = "-to-";

std::uint64_t chunk_bytes(const wire::LayoutInfo& layout) {
  return TensorMeta{layout.shape, layout.dtype, layout.fmt}.bytes().value_or(0);
}

}  // namespace

StockPeers::StockPeers(Scheduler& scheduler, transport::StockPlane& plane, const Config& config,
                       std::uint32_t page_count, Fenced fenced)
    : scheduler_(scheduler),
      plane_(plane),
      config_(config),
      chunk_bytes_(chunk_bytes(config.layout)),
      page_count_(page_count),
      fenced_(std::move(fenced)) {}

StockPeers::~StockPeers() {
  for (const auto& [route, peer] : introduced_) {
    scheduler_.cancel(peer.timer);
  }
}

std::size_t StockPeers::size() const {
  std::size_t count = introduced_.size();
  for (const auto& [local_id, group] : groups_) {
    count += group.peers.size();
  }
  return count;
}

// ---- the handshake -----------------------------------------------------------------------------

wire::NixlInitResponse StockPeers::on_init(const control::Route& from,
                                           const wire::NixlInitRequest& message, Status& why) {
  auto response = introduce(from, message);
  why = response.status();
  return response.ok() ? *std::move(response) : wire::NixlInitResponse{};
}

StatusOr<wire::NixlInitResponse> StockPeers::introduce(const control::Route& from,
                                                       const wire::NixlInitRequest& message) {
  forget_introduced(from);
  if (message.local_meta_bytes.empty()) {
    return absl::InvalidArgumentError(std::string("its agent's metadata are empty"));
  }
  auto name = plane_.check(message.local_meta_bytes);
  if (!name.ok()) {
    return name.status();  // Nonsense costs no agent, which takes long to make.
  }
  if (name->empty() || name->size() > config_.limits.max_string_bytes) {
    return absl::InvalidArgumentError(
        fmt::format("its agent's name has {} bytes; 1 to {} are allowed", name->size(),
                    config_.limits.max_string_bytes));
  }
  auto door = plane_.open_door();
  if (!door.ok()) {
    return door.status();
  }
  name = plane_.introduce(door->id, message.local_meta_bytes);
  if (!name.ok()) {
    revoke(unnamed_, door->id);
    return name.status();
  }
  if (size() >= kMaxPeers) {
    make_room();  // Only now: who brings nonsense takes nobody's place.
  }
  Introduced& peer = introduced_[from];
  peer.id = door->id;
  peer.agent_name = *name;
  peer.since = scheduler_.now();
  peer.pages = std::move(door->pages);
  peer.pages.resize(std::min<std::size_t>(peer.pages.size(), page_count_));
  peer.timer = scheduler_.run_after(kRegisterWait,
                                    lifetime_.guard([this, from] { forget_introduced(from); }));
  wire::NixlInitResponse response;
  response.remote_agent_name = *std::move(name);
  response.remote_meta_bytes = std::move(door->metadata);
  return response;
}

void StockPeers::forget_introduced(const control::Route& from) {
  if (const auto known = introduced_.find(from); known != introduced_.end()) {
    scheduler_.cancel(known->second.timer);
    const transport::StockPeerId id = known->second.id;
    introduced_.erase(known);
    revoke(unnamed_, id);
  }
}

wire::NixlMemRegResponse StockPeers::on_mem_reg(const control::Route& from,
                                                const wire::NixlMemRegRequest& message,
                                                Status& why) {
  const auto found = introduced_.find(from);
  if (found == introduced_.end()) {
    why = absl::FailedPreconditionError(
        std::string("NixlMemRegRequest of a socket that has not introduced an agent"));
    return {};
  }
  auto response = accept(found->second, message);
  why = response.status();
  if (!response.ok()) {
    forget_introduced(from);
    return {};
  }
  scheduler_.cancel(found->second.timer);
  groups_[message.local_id].peers.push_back({found->second.id, scheduler_.now()});
  log::info("LMCache's agent {} introduced itself as {}", quote(found->second.agent_name),
            quote(message.local_id));
  introduced_.erase(found);
  return *std::move(response);
}

wire::Message StockPeers::refuse(const control::Route& from) {
  if (!introduced_.contains(from)) {
    return wire::NixlInitResponse{};
  }
  forget_introduced(from);
  return wire::NixlMemRegResponse{};
}

StatusOr<wire::NixlMemRegResponse> StockPeers::accept(const Introduced& peer,
                                                      const wire::NixlMemRegRequest& message) {
  if (message.remote_agent_name != peer.agent_name) {
    return absl::InvalidArgumentError(fmt::format("it names agent {}, this socket introduced {}",
                                                  quote(message.remote_agent_name),
                                                  quote(peer.agent_name)));
  }
  const auto list =
      wire::decode_xfer_dlist(message.local_xfer_dlist_bytes, config_.limits.max_keys);
  if (!list.ok()) {
    return list.status();
  }
  if (Status fine = wire::check_pages(*list, chunk_bytes_); !fine.ok()) {
    return fine;
  }
  std::vector<transport::PageAddress> pages;
  pages.reserve(list->descriptors.size());
  for (const wire::XferDescriptor& page : list->descriptors) {
    pages.push_back({page.address, page.length_bytes, page.device});
  }
  const auto memory = list->memory == wire::XferDlist::Memory::kVram ? transport::PageMemory::kVram
                                                                     : transport::PageMemory::kDram;
  if (Status set = plane_.set_pages(peer.id, memory, pages); !set.ok()) {
    return set;
  }
  wire::XferDlist own;
  own.descriptors.reserve(peer.pages.size());
  for (const transport::PageAddress& page : peer.pages) {
    // NIXL transfers between pages of equal length, and a page of the peer's is a full chunk.
    own.descriptors.push_back({page.address, chunk_bytes_, page.device});
  }
  wire::NixlMemRegResponse response{wire::encode_xfer_dlist(own)};
  if (response.remote_xfer_dlist_bytes.size() > config_.limits.max_message_bytes / 2) {
    return absl::ResourceExhaustedError(
        fmt::format("the list of {} pages is longer than a message (pd_max_message_bytes)",
                    own.descriptors.size()));
  }
  return response;
}

// ---- parties -----------------------------------------------------------------------------------

StatusOr<Epoch> StockPeers::party_of(const control::Route& from) {
  for (std::size_t at = from.find(kTo); at != std::string::npos; at = from.find(kTo, at + 1)) {
    const auto found = at == 0 ? groups_.end() : groups_.find(from.substr(0, at));
    if (found != groups_.end()) {
      found->second.named = true;
      for (Known& peer : found->second.peers) {
        peer.heard = scheduler_.now();
      }
      return found->second.party;
    }
  }
  const bool anybody = std::any_of(groups_.begin(), groups_.end(),
                                   [](const auto& group) { return !group.second.named; });
  if (!anybody || from.find(kTo) != std::string::npos) {
    return absl::FailedPreconditionError(
        std::string("no LMCache peer of that name has introduced itself, or it was fenced"));
  }
  return unnamed_;
}

void StockPeers::make_room() {
  if (!introduced_.empty()) {
    const auto first = std::min_element(
        introduced_.begin(), introduced_.end(),
        [](const auto& a, const auto& b) { return a.second.since < b.second.since; });
    forget_introduced(control::Route(first->first));  // Its own key dies there.
    return;
  }
  auto oldest = groups_.end();
  std::size_t which = 0;
  for (auto group = groups_.begin(); group != groups_.end(); ++group) {
    for (std::size_t i = 0; i < group->second.peers.size(); ++i) {
      if (oldest == groups_.end() ||
          group->second.peers[i].heard < oldest->second.peers[which].heard) {
        oldest = group;
        which = i;
      }
    }
  }
  if (oldest == groups_.end()) {
    return;
  }
  std::vector<Known>& peers = oldest->second.peers;
  log::limited_warning("{} LMCache peers are known, the limit: the oldest makes room", size());
  revoke(party_of(oldest->second), peers[which].id);
  peers.erase(peers.begin() + static_cast<std::ptrdiff_t>(which));
  if (peers.empty()) {
    groups_.erase(oldest);
  }
}

void StockPeers::fence(const Epoch& of) {
  const Epoch party = of;  // It may be unnamed_.
  fences_[party].asked = true;
  std::vector<transport::StockPeerId> agents;
  for (auto group = groups_.begin(); group != groups_.end();) {
    if (party_of(group->second) == party) {
      for (const Known& peer : group->second.peers) {
        agents.push_back(peer.id);
      }
      group = groups_.erase(group);
    } else {
      ++group;
    }
  }
  if (party == unnamed_) {
    unnamed_ = Epoch::random();
  }
  log::warning("{} LMCache peers are fenced: restart them", agents.size());
  for (const transport::StockPeerId id : agents) {
    revoke(party, id);
  }
  // Also if none is left to be destroyed.
  scheduler_.post(lifetime_.guard([this, party] { finish(party); }));
}

void StockPeers::revoke(const Epoch& party, transport::StockPeerId peer) {
  ++fences_[party].left;
  plane_.revoke(peer, lifetime_.guard([this, party] {
    --fences_.at(party).left;
    finish(party);
  }));
}

void StockPeers::finish(const Epoch& party) {
  const auto fence = fences_.find(party);
  if (fence == fences_.end() || fence->second.left > 0) {
    return;
  }
  const bool asked = fence->second.asked;
  fences_.erase(fence);
  if (asked) {
    fenced_(party);
  }
}

}  // namespace baton::receiver
