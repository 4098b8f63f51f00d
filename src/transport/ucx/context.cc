#include "src/transport/ucx/context.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <ucp/api/ucp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include "src/transport/ucx/allowed_transports.h"
#include "src/transport/ucx/memory_type.h"
#include "src/transport/ucx/rdma_devices.h"

namespace baton::transport::ucx {
namespace {

// "rc" stands for rc_mlx5 and rc_verbs, with ud to find each other.
const char* transports_of(Planes planes) {
  if (!planes.tcp) {
    return "rc";
  }
  return planes.rdma ? "rc,tcp" : "tcp";
}

struct Setting {
  const char* name;
  const char* value;
};

/// What UCX is told unless its environment variables say otherwise.
constexpr Setting kSettings[] = {
    // The line does that. On devices whose RC can't, UCX would do it over UD, and abort the process
    // when such an endpoint is closed while it is being connected (1.13).
    {"KEEPALIVE_INTERVAL", "inf"},
    // Only the messages that connect queue pairs use receive queues and bounce buffers; UCX's
    // defaults are for one worker that serves all peers, not one for each.
    {"IB_RX_QUEUE_LEN", "128"},
    {"IB_TX_BUFS_GROW", "64"},
    {"IB_ALLOC", "md,mmap,heap"},  // no huge pages: they would be empty for the most part
    // So that what a flush waited for is in memory when the commit arrives by another way, and so
    // that the buffer is registered once, not twice. The second is the name since 1.14.
    {"PCI_RELAXED_ORDERING", "off"},
    {"IB_PCI_RELAXED_ORDERING", "off"},
};

/// Whether a variable of the environment sets it, perhaps for one transport: UCX_IB_RX_QUEUE_LEN,
/// UCX_RC_VERBS_RX_QUEUE_LEN.
bool is_in_environment(std::string_view name) {
  if (name.starts_with("IB_")) {
    name.remove_prefix(3);
  }
  for (char* const* entry = environ; *entry != nullptr; ++entry) {
    const std::string_view variable(*entry, std::string_view(*entry).find('='));
    if (variable.starts_with("UCX_") && variable.ends_with(name)) {
      return true;
    }
  }
  return false;
}

/// Owns what UCX reads from its environment variables.
class Config {
 public:
  Config() { status_ = ucp_config_read(nullptr, nullptr, &config_); }
  ~Config() {
    if (config_ != nullptr) {
      ucp_config_release(config_);
    }
  }
  Config(const Config&) = delete;
  Config& operator=(const Config&) = delete;

  Status status() const { return to_status(status_, "UCX's configuration can't be read"); }
  Status set(const char* name, const char* value) {
    return to_status(ucp_config_modify(config_, name, value),
                     fmt::format("UCX takes no {}={}", name, value));
  }
  const ucp_config_t* get() const { return config_; }

 private:
  ucp_config_t* config_ = nullptr;
  ucs_status_t status_;
};

Status choose(Config& config, const std::string& devices, Planes planes) {
  Status status = config.status();
  const char* const wanted = std::getenv("UCX_TLS");
  if (status.ok() && wanted != nullptr && !planes.tcp) {
    status = check_transports(wanted);
  } else if (status.ok() && wanted == nullptr) {
    status = config.set("TLS", transports_of(planes));
  }
  for (const Setting& setting : kSettings) {
    if (status.ok() && !is_in_environment(setting.name)) {
      // A version that doesn't know one, or has no such devices, does without.
      config.set(setting.name, setting.value).IgnoreError();
    }
  }
  if (status.ok() && !devices.empty()) {
    status = config.set("NET_DEVICES", devices.c_str());
  }
  return status;
}

/// Those that the context will write by, as far as they can be told from the words of
/// UCX_NET_DEVICES; of words that only UCX understands, none.
std::vector<std::string> live_ports(std::string_view devices, Planes planes) {
  if (planes.tcp) {
    return {};
  }
  if (const char* const wanted = std::getenv("UCX_NET_DEVICES"); devices.empty() && wanted) {
    devices = wanted;
  }
  return active_ports_among(devices);
}

std::string memlock_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return "unlimited";
  }
  return fmt::format("{} bytes", limit.rlim_cur);
}

}  // namespace

Status to_status(ucs_status_t status, std::string_view what) {
  if (status == UCS_OK) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(fmt::format("{}: {}", what, ucs_status_string(status)));
}

StatusOr<std::unique_ptr<Context>> Context::create(const std::string& devices, Planes planes) {
  Config config;
  if (Status chosen = choose(config, devices, planes); !chosen.ok()) {
    return chosen;
  }
  ucp_params_t params{};
  params.field_mask = UCP_PARAM_FIELD_FEATURES | UCP_PARAM_FIELD_NAME;
  params.features = UCP_FEATURE_RMA | UCP_FEATURE_WAKEUP;
  params.name = "baton";
  ucp_context_h context = nullptr;
  Status made =
      to_status(ucp_init(&params, config.get(), &context),
                fmt::format("UCX {} finds nothing to write by{}{} (see `ucx_info -d`, and `baton "
                            "doctor`)",
                            library_version(), devices.empty() ? "" : " on ", devices));
  if (!made.ok()) {
    return made;
  }
  return std::unique_ptr<Context>(new Context(context, live_ports(devices, planes)));
}

Context::~Context() {
  if (memory_ != nullptr) {
    ucp_mem_unmap(context_, memory_);
  }
  ucp_cleanup(context_);
}

Status Context::map(const RegisteredBuffer& buffer) {
  if (memory_ != nullptr) {
    return absl::FailedPreconditionError(std::string("a buffer is registered already"));
  }
  kind_ = buffer.kind();
  ucp_mem_map_params_t params{};
  params.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH |
                      UCP_MEM_MAP_PARAM_FIELD_MEMORY_TYPE;
  params.address = buffer.data();
  params.length = buffer.size_bytes();
  params.memory_type = to_memory_type(kind_);
  return to_status(
      ucp_mem_map(context_, &params, &memory_),
      fmt::format("a buffer of {} bytes can't be registered with the RDMA device; this process may "
                  "lock {} of memory (ulimit -l, systemd LimitMEMLOCK)",
                  buffer.size_bytes(), memlock_limit()));
}

StatusOr<std::string> Context::packed_rkey() const {
  void* bytes = nullptr;
  std::size_t size = 0;
  Status packed = to_status(ucp_rkey_pack(context_, memory_, &bytes, &size),
                            "the key of the registered buffer can't be packed");
  if (!packed.ok()) {
    return packed;
  }
  std::string key(static_cast<const char*>(bytes), size);
  ucp_rkey_buffer_release(bytes);
  return key;
}

bool Context::ports_are_alive() const {
  return std::all_of(ports_.begin(), ports_.end(),
                     [](const std::string& port) { return any_active_among(port); });
}

std::string library_version() {
  return ucp_get_version_string();
}

}  // namespace baton::transport::ucx
