#include "tests/support/stock_hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace baton::testing {
namespace {

std::uint64_t address_of(const std::byte* data) {
  return reinterpret_cast<std::uint64_t>(data);
}

}  // namespace

std::string StockHub::make_agent(std::span<std::byte> memory) {
  std::string name = fmt::format("agent-{}", ++last_agent_);
  agents_[name] = {memory, {}};
  return name;
}

std::string StockHub::metadata_of(const std::string& agent) const {
  return "metadata of " + agent;
}

StatusOr<std::string> StockHub::name_in(std::string_view metadata) const {
  constexpr std::string_view kHead = "metadata of ";
  const std::string name(metadata.substr(std::min(kHead.size(), metadata.size())));
  if (!metadata.starts_with(kHead) || !agents_.contains(name)) {
    return absl::InvalidArgumentError(std::string("these are no agent's metadata"));
  }
  return name;
}

StatusOr<std::string> StockHub::load(const std::string& agent, std::string_view metadata) {
  auto name = name_in(metadata);
  if (name.ok()) {
    agents_.at(agent).loaded.insert(*name);
  }
  return name;
}

bool StockHub::registered(const std::string& agent, std::uint64_t address,
                          std::uint64_t length) const {
  const auto found = agents_.find(agent);
  if (found == agents_.end()) {
    return false;
  }
  const std::uint64_t base = address_of(found->second.memory.data());
  const std::uint64_t bytes = found->second.memory.size();
  return address >= base && address - base <= bytes && length <= bytes - (address - base);
}

void StockHub::write(const std::string& from, const std::string& to, std::vector<Op> ops,
                     transport::Done done) {
  start(std::make_shared<Batch>(Batch{from, to, std::move(ops), false, std::move(done), 0, 0}));
}

void StockHub::read(const std::string& from, const std::string& to, std::vector<Op> ops,
                    transport::Done done) {
  start(std::make_shared<Batch>(Batch{from, to, std::move(ops), true, std::move(done), 0, 0}));
}

void StockHub::start(std::shared_ptr<Batch> batch) {
  scheduler_.post([this, batch = std::move(batch)] { step(batch); });
}

void StockHub::step(const std::shared_ptr<Batch>& batch) {
  const auto from = agents_.find(batch->from);
  const auto to = agents_.find(batch->to);
  if (from == agents_.end()) {
    batch->done(absl::CancelledError(std::string("the agent is destroyed")));
    return;
  }
  if (to == agents_.end() || !to->second.loaded.contains(batch->from) ||
      !from->second.loaded.contains(batch->to)) {
    batch->done(absl::UnavailableError(std::string("the peer's agent is gone")));
    return;
  }
  if (paused_) {
    waiting_.push_back(batch);
    return;
  }
  if (batch->op == batch->ops.size()) {
    batch->done(absl::OkStatus());
    return;
  }
  const Op& op = batch->ops[batch->op];
  if (!registered(batch->to, op.address, op.local.size())) {
    batch->done(absl::InvalidArgumentError(std::string("outside of the registered memory")));
    return;
  }
  const std::size_t bytes = std::min(piece_bytes_, op.local.size() - batch->offset);
  std::byte* const there = to->second.memory.data() +
                           (op.address - address_of(to->second.memory.data())) + batch->offset;
  std::byte* const here = op.local.data() + batch->offset;
  std::memcpy(batch->reading ? here : there, batch->reading ? there : here, bytes);
  batch->offset += bytes;
  if (batch->offset == op.local.size()) {
    ++batch->op;
    batch->offset = 0;
  }
  scheduler_.post([this, batch] { step(batch); });
}

void StockHub::destroy(const std::string& agent) {
  agents_.erase(agent);
  set_paused(paused_);
}

void StockHub::set_paused(bool paused) {
  paused_ = paused;
  for (std::shared_ptr<Batch>& batch : std::exchange(waiting_, {})) {
    start(std::move(batch));
  }
}

// ---- HubPlane ----------------------------------------------------------------------------------

StatusOr<std::string> HubPlane::check(std::string_view metadata) const {
  return hub_.name_in(metadata);
}

StatusOr<transport::StockPlane::Door> HubPlane::open_door() {
  if (closed_) {
    return absl::CancelledError(std::string("closed"));
  }
  Door door;
  door.id = ++last_;
  door.agent_name = hub_.make_agent({buffer_.data(), buffer_.size_bytes()});
  door.metadata = hub_.metadata_of(door.agent_name);
  for (std::uint32_t page = 0; page < buffer_.page_count(); ++page) {
    door.pages.push_back({address_of(buffer_.page(page).data()), buffer_.page_bytes(), 0});
  }
  doors_[door.id] = {door.agent_name, {}, {}};
  return door;
}

StatusOr<std::string> HubPlane::introduce(transport::StockPeerId peer, std::string_view metadata) {
  Open& door = doors_.at(peer);
  auto name = hub_.load(door.agent, metadata);
  if (name.ok()) {
    door.peer_agent = *name;
  }
  return name;
}

Status HubPlane::set_pages(transport::StockPeerId peer, transport::PageMemory memory,
                           const std::vector<transport::PageAddress>& pages) {
  Open& door = doors_.at(peer);
  for (const transport::PageAddress& page : pages) {
    if (memory != transport::PageMemory::kDram ||
        !hub_.registered(door.peer_agent, page.address, page.length_bytes)) {
      return absl::InvalidArgumentError(
          fmt::format("page at {:x} lies outside of what the peer registered", page.address));
    }
  }
  door.pages = pages;
  return absl::OkStatus();
}

template <typename Ops>
StatusOr<std::vector<StockHub::Op>> HubPlane::to_ops(const Open& door, const Ops& ops) const {
  std::vector<StockHub::Op> out;
  for (const auto& op : ops) {
    if (op.page >= door.pages.size() ||
        op.offset_bytes + op.local.size() > door.pages[op.page].length_bytes ||
        !buffer_.contains(op.local)) {
      return absl::InvalidArgumentError(fmt::format("page {} or its range is not there", op.page));
    }
    auto* const data = const_cast<std::byte*>(op.local.data());
    out.push_back({{data, op.local.size()}, door.pages[op.page].address + op.offset_bytes});
  }
  return out;
}

void HubPlane::write_batch(transport::StockPeerId peer, std::vector<transport::WriteOp> ops,
                           transport::Done done) {
  const auto door = doors_.find(peer);
  auto list = door == doors_.end() ? absl::CancelledError(std::string("revoked"))
                                   : to_ops(door->second, ops);
  if (!list.ok()) {
    scheduler_.post([done = std::move(done), why = list.status()]() mutable { done(why); });
    return;
  }
  writes_ += ops.size();
  hub_.write(door->second.agent, door->second.peer_agent, *std::move(list), std::move(done));
}

void HubPlane::read_batch(transport::StockPeerId peer, std::vector<transport::ReadOp> ops,
                          transport::Done done) {
  const auto door = doors_.find(peer);
  auto list = door == doors_.end() ? absl::CancelledError(std::string("revoked"))
                                   : to_ops(door->second, ops);
  if (!list.ok()) {
    scheduler_.post([done = std::move(done), why = list.status()]() mutable { done(why); });
    return;
  }
  hub_.read(door->second.agent, door->second.peer_agent, *std::move(list), std::move(done));
}

void HubPlane::revoke(transport::StockPeerId peer, Task fenced) {
  if (const auto door = doors_.find(peer); door != doors_.end()) {
    hub_.destroy(door->second.agent);
    doors_.erase(door);
  }
  scheduler_.post(std::move(fenced));
}

void HubPlane::close() {
  closed_ = true;
  for (const auto& [peer, door] : std::exchange(doors_, {})) {
    hub_.destroy(door.agent);
  }
}

}  // namespace baton::testing
