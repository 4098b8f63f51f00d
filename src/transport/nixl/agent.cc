#include "src/transport/nixl/agent.h"

#include <fmt/format.h>
#include <nixl.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <utility>

namespace baton::transport::nixl {
namespace {

constexpr const char* kBackend = "UCX";
/// Should an event be missed, what waits for it waits as long.
constexpr std::uint64_t kProgressPauseUs = 100'000;
constexpr std::size_t kProbePageBytes = 4096;
/// Between two looks. LMCache's peers and Baton's send none.
constexpr std::size_t kMaxNotificationBytes = 1U << 20U;
/// What one takes beside its text.
constexpr std::size_t kNotificationBytes = 64;

Status to_status(nixl_status_t status, const char* what) {
  if (status == NIXL_SUCCESS) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(fmt::format("{}: {}", what, nixlEnumStrings::statusStr(status)));
}

/// NIXL reports by status, but what it stands on may throw.
template <typename Call>
Status guarded(const char* what, Call call) {
  try {
    return to_status(call(), what);
  } catch (const std::exception& error) {
    return absl::UnavailableError(fmt::format("{}: {}", what, error.what()));
  }
}

nixl_xfer_op_t to_operation(Direction direction) {
  return direction == Direction::kWrite ? NIXL_WRITE : NIXL_READ;
}

nixl_b_params_t backend_params(const AgentOptions& options) {
  return {
      // Without it a put to a dead peer never ends. And with it UCX writes between two processes of
      // one host by TCP or RDMA only, never by shared memory or CMA, which need no receiver and
      // which no destroyed worker would stop.
      {"ucx_error_handling_mode", "peer"},
      {"num_workers", "1"},
      // NIXL splits at commas, so each value is one word. What the environment sets has precedence.
      // Relaxed ordering, which NIXL would try: what was acknowledged might still be on its way
      // into memory when the commit arrives by another way.
      {"engine_config", fmt::format("TLS={},IB_PCI_RELAXED_ORDERING=off,KEEPALIVE_INTERVAL=inf",
                                    options.rdma ? "rc" : "tcp")}};
}

nixl_xfer_dlist_t list_of(const std::vector<PageAddress>& pages) {
  nixl_xfer_dlist_t list(DRAM_SEG);
  list.reserve(pages.size());
  for (const PageAddress& page : pages) {
    list.emplace(page.address, page.length_bytes, page.device);
  }
  return list;
}

struct FreeAligned {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using ProbePage = std::unique_ptr<std::byte[], FreeAligned>;

/// A page of memory: devices' keys cover whole ones.
ProbePage make_probe_page() {
  auto* const memory =
      static_cast<std::byte*>(std::aligned_alloc(kProbePageBytes, kProbePageBytes));
  if (memory != nullptr) {
    std::memset(memory, 0, kProbePageBytes);
  }
  return ProbePage(memory);
}

}  // namespace

struct Request::Handle {
  nixlAgent* agent = nullptr;
  nixlXferReqH* request = nullptr;
};

struct Agent::Nixl {
  Nixl(const std::string& agent_name, const nixlAgentConfig& config)
      : name(agent_name), probe(make_probe_page()), agent(agent_name, config) {}
  ~Nixl() {
    for (nixlDlistH* const list : {local_pages, remote_pages}) {
      if (list != nullptr) {
        agent.releasedDlistH(list);
      }
    }
  }
  Nixl(const Nixl&) = delete;
  Nixl& operator=(const Nixl&) = delete;

  const std::string name;
  std::string peer;
  ProbePage probe;  // outlives the agent
  nixlAgent agent;
  nixlBackendH* backend = nullptr;     // the agent's
  nixlDlistH* local_pages = nullptr;   // ours
  nixlDlistH* remote_pages = nullptr;  // ours
};

Request::Request(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}

Request::~Request() {
  // Of one that is under way UCX may still read the memory, until the agent is destroyed.
  handle_->agent->releaseXferReq(handle_->request);
}

StatusOr<bool> Request::post() {
  nixl_status_t status = NIXL_SUCCESS;
  Status posted = guarded("the transfer can't begin", [&] {
    status = handle_->agent->postXferReq(handle_->request);
    return status == NIXL_IN_PROG ? NIXL_SUCCESS : status;
  });
  if (!posted.ok()) {
    return posted;
  }
  return status == NIXL_SUCCESS;
}

StatusOr<bool> Request::poll() {
  nixl_status_t status = NIXL_SUCCESS;
  Status polled = guarded("the transfer failed", [&] {
    status = handle_->agent->getXferStatus(handle_->request);
    return status == NIXL_IN_PROG ? NIXL_SUCCESS : status;
  });
  if (!polled.ok()) {
    return polled;
  }
  return status == NIXL_SUCCESS;
}

Agent::Agent(std::unique_ptr<Nixl> nixl) : nixl_(std::move(nixl)) {}

Agent::~Agent() = default;

StatusOr<std::unique_ptr<Agent>> Agent::create(std::string name, const AgentOptions& options) {
  std::unique_ptr<Nixl> nixl;
  Status made = guarded("NIXL makes no agent with the UCX backend (see NIXL_PLUGIN_DIR)", [&] {
    nixlAgentConfig config;
    config.useProgThread = options.progress_thread;
    // The thread sleeps in poll() for as long; 0, the default, makes it spin.
    config.pthrDelay = kProgressPauseUs;
    nixl = std::make_unique<Nixl>(name, config);
    return nixl->agent.createBackend(kBackend, backend_params(options), nixl->backend);
  });
  if (!made.ok()) {
    return made;
  }
  return std::unique_ptr<Agent>(new Agent(std::move(nixl)));
}

const std::string& Agent::name() const {
  return nixl_->name;
}

Status Agent::register_memory(std::span<std::byte> range) {
  return guarded("NIXL can't register the buffer", [&] {
    nixl_reg_dlist_t list(DRAM_SEG);
    for (const std::span<std::byte> memory : {range, probe()}) {
      list.addDesc(
          nixlBlobDesc(reinterpret_cast<std::uintptr_t>(memory.data()), memory.size(), 0, ""));
    }
    return nixl_->agent.registerMem(list);
  });
}

std::span<std::byte> Agent::probe() const {
  return {nixl_->probe.get(), kProbePageBytes};
}

StatusOr<std::string> Agent::metadata() const {
  std::string bytes;
  Status got =
      guarded("NIXL does not describe its agent", [&] { return nixl_->agent.getLocalMD(bytes); });
  if (!got.ok()) {
    return got;
  }
  return bytes;
}

Status Agent::introduce(const std::string& metadata, const std::string& peer_name) {
  std::string loaded;
  Status status = guarded("NIXL does not take the peer's metadata",
                          [&] { return nixl_->agent.loadRemoteMD(metadata, loaded); });
  if (status.ok() && loaded != peer_name) {
    status = absl::InternalError(
        fmt::format("NIXL read the peer's name as '{}', Baton as '{}'", loaded, peer_name));
  }
  nixl_->peer = peer_name;
  return status;
}

Status Agent::prepare_pages(const std::vector<PageAddress>& local,
                            const std::vector<PageAddress>& remote) {
  Status status = guarded("NIXL does not prepare this side's pages", [&] {
    return nixl_->agent.prepXferDlist(NIXL_INIT_AGENT, list_of(local), nixl_->local_pages);
  });
  if (status.ok()) {
    status = guarded("NIXL does not prepare the peer's pages", [&] {
      return nixl_->agent.prepXferDlist(nixl_->peer, list_of(remote), nixl_->remote_pages);
    });
  }
  return status;
}

StatusOr<std::unique_ptr<Request>> Agent::page_request(Direction direction,
                                                       const std::vector<int>& local,
                                                       const std::vector<int>& remote) const {
  auto handle = std::make_unique<Request::Handle>();
  handle->agent = &nixl_->agent;
  Status made = guarded("NIXL makes no transfer of these pages", [&] {
    return nixl_->agent.makeXferReq(to_operation(direction), nixl_->local_pages, local,
                                    nixl_->remote_pages, remote, handle->request);
  });
  if (!made.ok()) {
    return made;
  }
  return std::unique_ptr<Request>(new Request(std::move(handle)));
}

StatusOr<std::unique_ptr<Request>> Agent::request(Direction direction,
                                                  std::span<const Range> ranges) const {
  auto handle = std::make_unique<Request::Handle>();
  handle->agent = &nixl_->agent;
  Status made = guarded("NIXL makes no transfer of these ranges", [&] {
    nixl_xfer_dlist_t local(DRAM_SEG);
    nixl_xfer_dlist_t remote(DRAM_SEG);
    local.reserve(ranges.size());
    remote.reserve(ranges.size());
    for (const Range& range : ranges) {
      local.emplace(range.local, range.length_bytes, std::uint64_t{0});
      remote.emplace(range.remote, range.length_bytes, range.remote_device);
    }
    return nixl_->agent.createXferReq(to_operation(direction), local, remote, nixl_->peer,
                                      handle->request);
  });
  if (!made.ok()) {
    return made;
  }
  return std::unique_ptr<Request>(new Request(std::move(handle)));
}

Status Agent::drop_notifications() const {
  nixl_notifs_t notifications;
  Status got = guarded("NIXL does not give the peer's notifications",
                       [&] { return nixl_->agent.getNotifs(notifications); });
  if (!got.ok()) {
    return got;
  }
  std::size_t bytes = 0;
  for (const auto& [sender, texts] : notifications) {
    for (const nixl_blob_t& text : texts) {
      bytes += sender.size() + text.size() + kNotificationBytes;
    }
  }
  if (bytes > kMaxNotificationBytes) {
    return absl::ResourceExhaustedError(fmt::format(
        "the peer sends too many notifications: {} bytes of them since the last look; at most {} "
        "are dropped",
        bytes, kMaxNotificationBytes));
  }
  return absl::OkStatus();
}

}  // namespace baton::transport::nixl
