#include "src/sender/stock_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "src/base/log.h"
#include "src/base/text.h"
#include "src/wire/codec.h"
#include "src/wire/xfer_dlist.h"

namespace baton::sender {
namespace {

std::uint64_t chunk_bytes(const wire::LayoutInfo& layout) {
  return TensorMeta{layout.shape, layout.dtype, layout.fmt}.bytes().value_or(0);
}

Status nonsense(const std::string& what) {
  return absl::DataLossError(what);
}

/// -1, or too few: LMCache says so when it has no page.
Status no_page(std::size_t index) {
  return absl::ResourceExhaustedError(
      fmt::format("the LMCache receiver has no page for key {}", index));
}

}  // namespace

StockLink::StockLink(Scheduler& scheduler, transport::StockPlane& plane, const Config& config,
                     Broken broken)
    : scheduler_(scheduler), plane_(plane), config_(config), broken_(std::move(broken)) {}

StockLink::~StockLink() {
  scheduler_.cancel(timer_);
  if (open_) {
    plane_.revoke(door_.id, [] {});
  }
}

// ---- handshake ---------------------------------------------------------------------------------

Status StockLink::open() {
  auto door = plane_.open_door();
  if (door.ok()) {
    door_ = *std::move(door);
    open_ = true;
  }
  return door.status();
}

StatusOr<wire::NixlMemRegRequest> StockLink::introduce(const wire::NixlInitResponse& response,
                                                       const std::string& local_id) {
  if (response.remote_agent_name != door_.agent_name) {
    return nonsense(fmt::format("it calls our agent {}, which is {}",
                                quote(response.remote_agent_name), quote(door_.agent_name)));
  }
  if (const auto name = plane_.introduce(door_.id, response.remote_meta_bytes); !name.ok()) {
    return name.status();
  }
  introduced_ = true;
  wire::XferDlist own;
  own.descriptors.reserve(door_.pages.size());
  for (const transport::PageAddress& page : door_.pages) {
    own.descriptors.push_back({page.address, chunk_bytes(config_.layout), page.device});
  }
  return wire::NixlMemRegRequest{door_.agent_name, local_id, wire::encode_xfer_dlist(own)};
}

StatusOr<wire::Welcome> StockLink::take_pages(const wire::NixlMemRegResponse& response,
                                              control::Client& alloc) {
  const auto list =
      wire::decode_xfer_dlist(response.remote_xfer_dlist_bytes, config_.limits.max_keys);
  if (!list.ok()) {
    return list.status();
  }
  wire::Welcome welcome;
  welcome.page_bytes = chunk_bytes(config_.layout);
  if (Status fine = wire::check_pages(*list, welcome.page_bytes); !fine.ok()) {
    return fine;
  }
  std::vector<transport::PageAddress> pages;
  pages.reserve(list->descriptors.size());
  for (const wire::XferDescriptor& page : list->descriptors) {
    pages.push_back({page.address, page.length_bytes, page.device});
  }
  const auto memory = list->memory == wire::XferDlist::Memory::kVram ? transport::PageMemory::kVram
                                                                     : transport::PageMemory::kDram;
  if (Status set = plane_.set_pages(door_.id, memory, pages); !set.ok()) {
    return set;
  }
  alloc_ = &alloc;
  welcome.epoch = Epoch::random();  // It has none: each link meets another receiver.
  welcome.page_count = static_cast<std::uint32_t>(pages.size());
  welcome.max_keys = static_cast<std::uint32_t>(
      std::min<std::size_t>(config_.limits.max_keys, std::numeric_limits<std::uint32_t>::max()));
  welcome.max_message_bytes = config_.limits.max_message_bytes;
  welcome.digests = false;
  welcome.transport = "nixl";
  return welcome;
}

// ---- questions ---------------------------------------------------------------------------------

void StockLink::ask(const wire::AllocRequest& request, TimePoint deadline, Answer answer) {
  questions_.push_back(
      {wire::encode(request), request.async->req_id, request.keys, deadline, std::move(answer)});
  send_next();
}

void StockLink::send_next() {
  while (!asked_ && !questions_.empty()) {
    Question& next = questions_.front();
    if (!next.answer) {
      next.deadline = scheduler_.now() + config_.handshake_timeout;  // Nobody waits for it.
    } else if (next.deadline <= scheduler_.now()) {
      questions_.pop_front();  // Who asked has given up.
      continue;
    }
    asked_ = true;
    timer_ = scheduler_.run_at(next.deadline, lifetime_.guard([this] {
      timer_ = kNoTimer;
      give_up(absl::DeadlineExceededError(
          std::string("it did not answer a request for pages before the put's deadline")));
    }));
    if (Status sent = alloc_->send(next.bytes); !sent.ok()) {
      // In a turn of its own: who asked is on the stack.
      scheduler_.post(lifetime_.guard([this, sent] { give_up(sent); }));
    }
  }
}

void StockLink::on_answer(const wire::AllocResponse& response) {
  if (!asked_) {
    give_up(nonsense("it answered what nobody had asked"));
    return;
  }
  asked_ = false;
  scheduler_.cancel(std::exchange(timer_, kNoTimer));
  Question question = std::move(questions_.front());
  questions_.pop_front();
  if (question.answer) {
    is_async_ = !response.sync_flavour;
    Granted& granted = granted_[question.req_id];
    for (std::size_t i = 0; i < question.keys.size(); ++i) {
      if (*is_async_ && i < response.remote_indexes.size() && response.remote_indexes[i] >= 0) {
        granted.keys.push_back(question.keys[i]);
      }
    }
    const auto alive = lifetime_.guard([this] { send_next(); });
    const std::string req_id = question.req_id;
    if (granted.cancelled) {
      tell_cancelled(req_id);
    }
    // Last: it may end the link.
    scheduler_.post(alive);
    question.answer(response);
    return;
  }
  send_next();
}

void StockLink::give_up(const Status& why) {
  const auto alive = std::move(lifetime_);  // Nothing else of this runs,
  Broken broken = std::move(broken_);       // for it may be destroyed in here.
  broken(why);
}

bool StockLink::is_asked_for(const std::string& req_id) const {
  return std::any_of(questions_.begin(), questions_.end(), [&](const Question& question) {
    return question.answer && question.req_id == req_id;
  });
}

void StockLink::cancel(const std::string& req_id) {
  // What is not sent yet need not be.
  const auto unsent = questions_.begin() + (asked_ ? 1 : 0);
  questions_.erase(std::remove_if(unsent, questions_.end(),
                                  [&](const Question& question) {
                                    return question.answer && question.req_id == req_id;
                                  }),
                   questions_.end());
  if (is_asked_for(req_id)) {
    granted_[req_id].cancelled = true;
  } else {
    tell_cancelled(req_id);
  }
}

void StockLink::tell_cancelled(const std::string& req_id) {
  const auto found = granted_.find(req_id);
  if (found == granted_.end()) {
    return;
  }
  wire::CancelNotif word{req_id, std::move(found->second.keys), {}};
  granted_.erase(found);
  if (is_async_.value_or(false) && !word.keys.empty()) {
    questions_.push_back({wire::encode(word), req_id, {}, {}, nullptr});
    scheduler_.post(lifetime_.guard([this] { send_next(); }));
  }
}

// ---- AllocResponse -----------------------------------------------------------------------------

StatusOr<std::vector<std::optional<std::uint32_t>>> pages_of(const wire::AllocResponse& response,
                                                             std::size_t keys,
                                                             std::uint32_t page_count) {
  std::vector<bool> present(keys, false);
  if (response.sync_flavour) {
    for (const std::int64_t index : response.already_sent_indexes) {
      const auto i = static_cast<std::size_t>(index);
      if (index < 0 || i >= keys || present[i]) {
        return nonsense(
            fmt::format("already_sent_indexes has {}, which is no index of {} keys or stands twice",
                        index, keys));
      }
      present[i] = true;
    }
  }
  std::vector<std::optional<std::uint32_t>> pages(keys);
  std::vector<bool> taken(page_count, false);
  std::size_t next = 0;
  for (std::size_t i = 0; i < keys; ++i) {
    if (present[i]) {
      continue;
    }
    if (next == response.remote_indexes.size() || response.remote_indexes[next] == -1) {
      return no_page(i);
    }
    const std::int64_t page = response.remote_indexes[next++];
    if (page < 0 || page >= std::int64_t{page_count} || taken[static_cast<std::size_t>(page)]) {
      return nonsense(fmt::format(
          "remote_indexes has {}: it has {} pages, and each goes to one key", page, page_count));
    }
    taken[static_cast<std::size_t>(page)] = true;
    pages[i] = static_cast<std::uint32_t>(page);
  }
  if (next != response.remote_indexes.size()) {
    return nonsense(fmt::format("remote_indexes has {} entries for {} keys",
                                response.remote_indexes.size(), next));
  }
  return pages;
}

}  // namespace baton::sender
