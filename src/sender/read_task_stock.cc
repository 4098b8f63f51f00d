// A read from an LMCache receiver: ReadTask's half without holds and digests. It asks what is
// there, reads, and asks again; what has moved meanwhile is not read. docs/interop.md.
#include <fmt/format.h>

#include <utility>

#include "src/sender/read_task.h"

namespace baton::sender {

void ReadTask::ask_stock() {
  if (spec_.query_endpoint.empty()) {
    fail(absl::InvalidArgumentError(fmt::format(
        "receiver {} is an LMCache one, which says what it has on its query port alone: name it in "
        "receiver_query_port, one per rank (the receiver's pd_peer_query_port)",
        link_.address().init_endpoint)));
    return;
  }
  auto query = link_.connect_query(
      spec_.query_endpoint,
      lifetime_.guard([this](const StatusOr<wire::CacheQueryResponse>& response) {
        on_stock_answer(response);
      }));
  if (!query.ok()) {
    fail(query.status());
    return;
  }
  query_ = *std::move(query);
  state_ = State::kRequesting;
  session_ = link_.session();
  if (Status asked = query_->ask(spec_.keys); !asked.ok()) {
    fail(asked);
  }
}

std::vector<std::string> ReadTask::hit_keys() const {
  std::vector<std::string> keys;
  keys.reserve(hits_.size());
  for (const Hit& hit : hits_) {
    keys.push_back(spec_.keys[hit.key_index]);
  }
  return keys;
}

void ReadTask::on_stock_answer(const StatusOr<wire::CacheQueryResponse>& response) {
  if (state_ >= State::kDraining) {
    return;
  }
  if (!response.ok()) {
    fail(response.status());
    return;
  }
  const bool again = state_ == State::kConfirming;
  const auto pages =
      cached_pages(*response, again ? hit_keys() : spec_.keys, link_.welcome().page_count);
  if (!pages.ok()) {
    fail(Status(pages.status().code(), fmt::format("LMCache receiver {}: {}", spec_.query_endpoint,
                                                   std::string(pages.status().message()))));
    return;
  }
  if (again) {
    confirm(*pages);
    end();
    return;
  }
  for (std::uint32_t i = 0; i < pages->size(); ++i) {
    if ((*pages)[i].has_value()) {
      hits_.push_back({i, *(*pages)[i], 0, 0});
    } else {
      settle(i, absl::NotFoundError(fmt::format("chunk {} is not at receiver {}", spec_.keys[i],
                                                link_.address().init_endpoint)));
    }
  }
  state_ = State::kReading;
  pump();
  on_slice_idle();
}

void ReadTask::ask_stock_again() {
  state_ = State::kConfirming;
  if (Status asked = query_->ask(hit_keys()); !asked.ok()) {
    fail(asked);
  }
}

void ReadTask::confirm(const std::vector<std::optional<std::uint32_t>>& pages) {
  for (std::size_t i = 0; i < hits_.size(); ++i) {
    if (pages[i] == hits_[i].page) {
      settle_read(hits_[i]);
    } else {
      settle(hits_[i].key_index,
             absl::NotFoundError(fmt::format(
                 "chunk {} left page {} of receiver {} while it was read",
                 spec_.keys[hits_[i].key_index], hits_[i].page, link_.address().init_endpoint)));
    }
  }
}

}  // namespace baton::sender
