#include "src/transport/nixl/outbound_agent.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/log.h"
#include "src/transport/nixl/metadata.h"
#include "src/transport/post_done.h"
#include "src/transport/ucx/sealing.h"

namespace baton::transport::nixl {
namespace {

std::vector<PageAddress> pages_from(std::uint64_t base, std::uint64_t page_bytes,
                                    std::uint32_t count) {
  std::vector<PageAddress> pages;
  pages.reserve(count);
  for (std::uint32_t page = 0; page < count; ++page) {
    pages.push_back({.address = base + page * page_bytes, .length_bytes = page_bytes});
  }
  return pages;
}

/// One that knows the target. On any thread.
Workshop::MadeAgent make_agent(const std::string& name, const AgentOptions& options,
                               const RegisteredBuffer& buffer, const Welcome& target) {
  auto agent = Agent::create(name, options);
  if (!agent.ok()) {
    return agent;
  }
  Status status = (*agent)->register_memory({buffer.data(), buffer.size_bytes()});
  if (status.ok()) {
    status = (*agent)->introduce(target.metadata, check_metadata(target.metadata)->agent_name);
  }
  if (status.ok()) {
    status = (*agent)->prepare_pages(
        pages_from(reinterpret_cast<std::uintptr_t>(buffer.data()), buffer.page_bytes(),
                   buffer.page_count()),
        pages_from(target.base_address, target.page_bytes, target.page_count));
  }
  if (!status.ok()) {
    return status;
  }
  return agent;
}

}  // namespace

/// What waits for the end of an agent: its destructor is run when nothing touches local memory any
/// more, be it by the Workshop's callback or by the Workshop's own end.
struct OutboundAgent::Burial {
  Burial(Reactor& loop, std::unique_ptr<Link> last_link, std::vector<Batch> batches, Status reason)
      : reactor(loop),
        link(std::move(last_link)),
        left(std::move(batches)),
        why(std::move(reason)) {}
  ~Burial() {
    link.reset();  // The receiver hears of the end when nothing is under way any more.
    for (Batch& batch : left) {
      post_done(reactor, std::move(batch.done), batch.verdict.ok() ? why : batch.verdict);
    }
  }
  Burial(const Burial&) = delete;
  Burial& operator=(const Burial&) = delete;

  Reactor& reactor;
  std::unique_ptr<Link> link;
  std::vector<Batch> left;
  Status why;
};

OutboundAgent::OutboundAgent(Reactor& reactor, Workshop& workshop, const NixlOptions& options,
                             const AgentOptions& agent_options, std::string name,
                             const RegisteredBuffer& buffer, tcp::Call call)
    : reactor_(reactor),
      workshop_(workshop),
      options_(options),
      agent_options_(agent_options),
      name_(std::move(name)),
      buffer_(buffer),
      hello_([&] {
        tcp::Hello hello = call.hello;
        hello.nonce = random_nonce();
        return hello;
      }()),
      secret_(call.secret),
      connected_(std::move(call.connected)),
      ended_(std::move(call.ended)),
      deadline_timer_(reactor.run_at(call.deadline, [this] {
        fail(absl::DeadlineExceededError(fmt::format(
            "peer {} can't be written to before the connect deadline: {}", hello_.receiver.brief(),
            transfers_ == nullptr ? "it does not answer"
                                  : "NIXL finds no way to it (see `baton doctor`)")));
      })) {
  opening_.emplace(reactor, options.line, std::move(call.sockets.front()), hello_, secret_,
                   [this](StatusOr<UniqueFd> socket) { on_opened(std::move(socket)); });
}

OutboundAgent::~OutboundAgent() {
  close(absl::CancelledError(std::string("destroyed")));
}

void OutboundAgent::on_opened(StatusOr<UniqueFd> socket) {
  if (!socket.ok()) {
    fail(socket.status());
    return;
  }
  opening_.reset();
  link_ = std::make_unique<Link>(Link{.owner = this, .line = nullptr});
  link_->line = std::make_unique<ucx::Line>(
      reactor_, options_.line, *std::move(socket), ucx::kMaxSealedBytes,
      ucx::Line::Actions{.receive =
                             [link = link_.get()](std::string_view message) {
                               return link->owner != nullptr ? link->owner->take_welcome(message)
                                                             : absl::OkStatus();
                             },
                         .end =
                             [link = link_.get()](const Status& reason) {
                               const Status why = reason;  // The line's, perhaps.
                               OutboundAgent* const owner = link->owner;
                               link->line.reset();
                               if (owner != nullptr) {
                                 owner->fail(why);
                               }
                             }});
}

Status OutboundAgent::take_welcome(std::string_view message) {
  if (target_) {
    return absl::DataLossError(std::string("the receiver describes its memory twice"));
  }
  auto plain = ucx::open_sealed(message, secret_, hello_);
  if (!plain.ok()) {
    return plain.status();
  }
  auto welcome = parse_welcome(*plain);
  ucx::wipe(*plain);
  if (!welcome.ok()) {
    return welcome.status();
  }
  target_ = *std::move(welcome);
  workshop_.make(
      [name = name_, options = agent_options_, &buffer = buffer_, target = *target_]() mutable {
        auto agent = make_agent(name, options, buffer, target);
        ucx::wipe(target.metadata);
        return agent;
      },
      lifetime_.guard([this](Workshop::MadeAgent&& agent) { on_made(std::move(agent)); }));
  ucx::wipe(target_->metadata);
  return absl::OkStatus();
}

void OutboundAgent::on_made(Workshop::MadeAgent&& agent) {
  if (link_ == nullptr) {
    return;  // Closed meanwhile; not taken, so the workshop buries it.
  }
  if (!agent.ok()) {
    fail(agent.status());
    return;
  }
  agent_ = *std::move(agent);
  transfers_ = std::make_unique<Transfers>(reactor_, options_, *agent_,
                                           [this](const Status& why) { fail(why); });
  probe();
}

/// A write to memory that the receiver keeps for it: when it is there, so is the way.
void OutboundAgent::probe() {
  transfers_->add({.direction = Direction::kWrite,
                   .ranges = {{.local = reinterpret_cast<std::uintptr_t>(agent_->probe().data()),
                               .remote = target_->probe_address,
                               .length_bytes = kProbeBytes}},
                   .local_pages = {},
                   .remote_pages = {},
                   .verdict = absl::OkStatus(),
                   .done = lifetime_.guard([this](const Status& status) {
                     if (status.ok()) {
                       on_probed();
                     }
                   })});
}

void OutboundAgent::on_probed() {
  open_ = true;
  reactor_.cancel(std::exchange(deadline_timer_, kNoTimer));
  log::info("nixl: writes to peer {} go by {}", hello_.receiver.brief(),
            agent_options_.rdma ? "RDMA" : "TCP");
  post_done(reactor_, std::exchange(connected_, nullptr), absl::OkStatus());
}

template <typename Op>
bool OutboundAgent::fits(const std::vector<Op>& ops) const {
  return std::all_of(ops.begin(), ops.end(), [this](const Op& op) {
    return op.page < target_->page_count && op.local.size() <= target_->page_bytes &&
           op.offset_bytes <= target_->page_bytes - op.local.size();
  });
}

template <typename Op>
Batch OutboundAgent::batch_of(const std::vector<Op>& ops) const {
  Batch batch;
  batch.ranges.reserve(ops.size());
  bool whole_pages = buffer_.page_bytes() == target_->page_bytes;
  for (const Op& op : ops) {
    batch.ranges.push_back(
        {.local = reinterpret_cast<std::uintptr_t>(op.local.data()),
         .remote = target_->base_address + op.page * target_->page_bytes + op.offset_bytes,
         .length_bytes = op.local.size()});
    const auto at = static_cast<std::size_t>(op.local.data() - buffer_.data());
    whole_pages = whole_pages && op.offset_bytes == 0 && op.local.size() == target_->page_bytes &&
                  at % buffer_.page_bytes() == 0;
    if (whole_pages) {
      batch.local_pages.push_back(static_cast<int>(at / buffer_.page_bytes()));
      batch.remote_pages.push_back(static_cast<int>(op.page));
    }
  }
  if (!whole_pages) {
    batch.local_pages.clear();
    batch.remote_pages.clear();
  }
  return batch;
}

template <typename Op>
void OutboundAgent::move_batch(Direction direction, const std::vector<Op>& ops, Status verdict,
                               Done done) {
  if (verdict.ok() && !fits(ops)) {
    // Nobody at the other end would notice.
    verdict = absl::InvalidArgumentError(
        fmt::format("a range outside the {} pages of {} bytes of peer {}", target_->page_count,
                    target_->page_bytes, hello_.receiver.brief()));
  }
  Batch batch = verdict.ok() ? batch_of(ops) : Batch();
  batch.direction = direction;
  batch.verdict = std::move(verdict);
  batch.done = std::move(done);
  transfers_->add(std::move(batch));
}

void OutboundAgent::close(const Status& why) {
  reactor_.cancel(std::exchange(deadline_timer_, kNoTimer));
  open_ = false;
  opening_.reset();
  std::vector<Batch> left;
  if (transfers_ != nullptr) {
    left = transfers_->abandon();
    transfers_.reset();
  }
  if (connected_) {
    post_done(reactor_, std::exchange(connected_, nullptr), why);
  }
  if (link_ != nullptr) {
    link_->owner = nullptr;
  }
  if (agent_ != nullptr) {
    workshop_.bury(std::move(agent_), [burial = std::make_unique<Burial>(reactor_, std::move(link_),
                                                                         std::move(left), why)] {});
  }
  link_.reset();
}

void OutboundAgent::fail(const Status& reason) {
  const Status why = reason;  // Who says it ends here.
  const bool was_open = open_;
  Ended ended = std::move(ended_);
  close(why);
  ended(why, was_open);
}

}  // namespace baton::transport::nixl
