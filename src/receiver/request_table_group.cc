// How the ranks of a TP group admit a request together: RequestTable's half that serves the group.
#include <algorithm>
#include <utility>

#include "src/receiver/request_table.h"

namespace baton::receiver {

// ---- a TP group's admission --------------------------------------------------------------------

Request* RequestTable::find_attempt(const wire::AttemptName& name) {
  for (const RequestId& id : attempts_of(name.req_id)) {
    if (id.attempt == name.attempt) {
      return find(id);
    }
  }
  return nullptr;
}

std::vector<wire::AttemptName> RequestTable::living_attempts() const {
  std::vector<wire::AttemptName> living;
  living.reserve(requests_.size());
  for (const auto& [id, request] : requests_) {
    living.push_back(id.attempt_name());
  }
  std::sort(living.begin(), living.end());
  return living;
}

void RequestTable::refuse(const RequestId& id, const Status& why) {
  if (group_ != nullptr && find_attempt(id.attempt_name()) == nullptr &&
      !ended_attempts_.contains(id)) {
    group_->on_ended(id.attempt_name(), why);
  }
}

bool RequestTable::reserve(Request& request) {
  if (request.state != Request::State::kWaiting || !admission_.fits(request)) {
    return false;
  }
  admission_.admit(request);
  return true;
}

void RequestTable::withdraw(Request& request) {
  if (request.state != Request::State::kReserved) {
    return;
  }
  admission_.withdraw(request);
  if (config_.layout.worker_id == 0) {
    admission_.enqueue(request);
  }
  schedule_settle();
}

void RequestTable::admit_reserved(Request& request) {
  if (request.state == Request::State::kReserved) {
    request.state = Request::State::kOpen;
    admission_.count_overtaking(request);
    scheduler_.cancel(std::exchange(request.timer, kNoTimer));
    listener_.on_open_decided(request, absl::OkStatus());
  }
}

}  // namespace baton::receiver
