#include "tools/demo/put_collector.h"

#include <algorithm>
#include <utility>

namespace baton::demo {
namespace {

/// The first error is the cause, later ones follow from it.
void note_error(PutsEnded& request, const Status& status) {
  if (!status.ok() && request.error.empty()) {
    request.error = std::string(status.message());
  }
}

}  // namespace

PutCollector::PutCollector(OnEnded on_ended)
    : on_ended_(std::move(on_ended)), thread_([this] { run(); }) {}

void PutCollector::close() {
  events_.close();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void PutCollector::await(const Put& put) {
  note_error(request_, put.handle.wait());
  const PutStats stats = put.handle.stats();
  request_.chunks_sent += stats.chunks_sent;
  request_.chunks_skipped += stats.chunks_skipped;
  request_.bytes_written += stats.bytes_written;
  request_.bytes_eager += stats.bytes_eager;
  if (first_submitted_ == Clock::time_point{}) {
    first_submitted_ = put.submitted;
  }
  const auto ended = put.submitted + stats.duration;
  request_.put_ms = std::max(request_.put_ms, ms_between(first_submitted_, ended));
}

void PutCollector::run() {
  while (auto event = events_.pop()) {
    if (auto* begun = std::get_if<PutsEnded>(&*event)) {
      request_ = std::move(*begun);
      first_submitted_ = {};
    } else if (const auto* put = std::get_if<Put>(&*event)) {
      await(*put);
    } else {
      note_error(request_, std::get<Status>(*event));
      on_ended_(request_);
    }
  }
}

}  // namespace baton::demo
