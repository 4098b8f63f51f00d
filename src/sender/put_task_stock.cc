// A put into an LMCache receiver: PutTask's half without generations, commits and drains.
#include <utility>

#include "src/sender/put_task.h"

namespace baton::sender {

void PutTask::ask_stock() {
  wire::AllocRequest request = alloc_request();
  request.keys = spec_.keys;
  request.async->total_chunks = 0;  // As LMCache's own senders say.
  request.baton.reset();
  if (Status asked = link_.ask_stock(request, deadline_,
                                     lifetime_.guard([this](const wire::AllocResponse& response) {
                                       on_stock_answer(response);
                                     }));
      !asked.ok()) {
    fail(asked);
  }
}

void PutTask::on_stock_answer(const wire::AllocResponse& response) {
  if (state_ != State::kAllocating) {
    return;  // It has failed; its request gives the pages back.
  }
  const auto pages = pages_of(response, spec_.keys.size(), link_.welcome().page_count);
  if (!pages.ok()) {
    fail(pages.status());
    return;
  }
  for (std::uint32_t i = 0; i < pages->size(); ++i) {
    const auto& page = (*pages)[i];
    // Each key has its news now, and the pages are checked: nothing can be refused.
    static_cast<void>(
        take_news(i, page.has_value() ? wire::KeyState::kGranted : wire::KeyState::kCommitted,
                  page.value_or(0), 0));
  }
  state_ = State::kWriting;
  on_news(absl::OkStatus());
  owner_.on_put_allocated(*this);
}

}  // namespace baton::sender
