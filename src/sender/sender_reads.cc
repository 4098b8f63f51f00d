// Reading what receivers have: Sender's half that runs reads.
#include <fmt/format.h>

#include <utility>

#include "src/base/protocol_version.h"
#include "src/sender/sender.h"

namespace baton::sender {

void Sender::submit_read(const Address& receiver, ReadSpec spec,
                         std::shared_ptr<detail::ReadState> state) {
  const std::uint64_t id = next_read_id_++;
  auto read = std::make_unique<ReadTask>(env_.scheduler, digests_, config_,
                                         static_cast<ReadTask::Owner&>(*this), link_to(receiver),
                                         id, std::move(spec), std::move(state));
  ReadTask& started = *read;
  reads_.emplace(id, std::move(read));
  if (closing_) {
    started.fail(absl::CancelledError(std::string("the backend is closed")));
  } else {
    started.start();
  }
}

void Sender::on_read_ended(ReadTask& read) {
  // It is still on the stack.
  env_.scheduler.post(lifetime_.guard([this, id = read.id()] {
    reads_.erase(id);
    tell_if_idle();
  }));
}

void Sender::on_read_response(PeerLink& link, const wire::ReadResponse& response) {
  if (!has_reads(link.welcome().version) || response.read_id >= next_read_id_) {
    link.reset(
        absl::DataLossError(fmt::format("receiver {} answered read {}, which was never asked for",
                                        link.address().init_endpoint, response.read_id)));
    return;
  }
  const auto found = reads_.find(response.read_id);
  if (found != reads_.end() && found->second->state() != ReadTask::State::kEnded) {
    if (&found->second->link() == &link) {
      found->second->on_response(response);
    }
  } else if (response.code == 0) {
    link.send_read_release(response.read_id);  // Nobody waits for it any more, yet it is held.
  }
}

template <typename Condition>
bool Sender::fail_reads(const Status& why, Condition concerns) {
  std::vector<ReadTask*> failed;
  for (const auto& [id, read] : reads_) {
    if (read->state() != ReadTask::State::kEnded && concerns(*read)) {
      failed.push_back(read.get());
    }
  }
  for (ReadTask* read : failed) {
    read->fail(why);
  }
  return !failed.empty();
}

bool Sender::fail_reads_of(const std::string& req_id, const Status& why) {
  return fail_reads(why, [&](const ReadTask& read) { return read.spec().req_id == req_id; });
}

void Sender::fail_reads_over(const PeerLink& link, const Status& why) {
  fail_reads(why, [&](const ReadTask& read) {
    // One that waits for the link has not asked the receiver that was lost.
    return &read.link() == &link && read.state() != ReadTask::State::kConnecting;
  });
}

void Sender::fail_all_reads(const Status& why) {
  fail_reads(why, [](const ReadTask& /*read*/) { return true; });
}

}  // namespace baton::sender
