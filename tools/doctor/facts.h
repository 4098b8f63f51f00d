// What `baton doctor` found out, before anybody judges it. Probes fill these in (probe_*.cc),
// judges read them (judge_*.cc): so the judging is tested with hosts that aren't at hand.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "baton/options.h"
#include "src/transport/ucx/rdma_devices.h"

namespace baton::doctor {

/// How processes get at a device's verbs: /dev/infiniband/uverbsN.
struct VerbsFile {
  std::string device;
  std::string path;
  int error = 0;  ///< errno of opening it; 0: this process may
};

struct Memlock {
  std::optional<std::uint64_t> soft_bytes;  ///< none: unlimited
  std::optional<std::uint64_t> hard_bytes;
  /// CAP_IPC_LOCK in the first user namespace, the only one where the kernel asks for it.
  bool exempt = false;

  /// Is it too little for so many bytes?
  bool limits(std::uint64_t bytes) const { return !exempt && soft_bytes && bytes > *soft_bytes; }
};

struct HugePages {
  std::uint64_t page_bytes = 0;
  std::uint64_t total = 0;
  std::uint64_t free = 0;
};

struct HostAddress {
  std::string netdev;
  std::string ip;  ///< 4 or 16 bytes, network byte order
};

struct UcxVersion {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;

  auto operator<=>(const UcxVersion&) const = default;
};
/// "1.13.1"; what isn't there is 0.
UcxVersion parse_ucx_version(std::string_view text);

struct HostFacts {
  std::vector<transport::ucx::RdmaDevice> rdma_devices;
  std::vector<VerbsFile> verbs_files;
  Memlock memlock;
  std::vector<HugePages> huge_pages;
  std::string transparent_huge_pages;  ///< "always", "madvise", "never"
  std::string shmem_huge_pages;        ///< the same for shared memory, which the buffer is
  std::uint64_t memory_bytes = 0;      ///< 0: unknown
  std::uint64_t available_bytes = 0;
  UcxVersion ucx;
  std::vector<std::pair<std::string, std::string>> ucx_environment;  ///< UCX_*, by name
  std::optional<Status> ucx_opened;  ///< where ucx is to be offered: what came of trying
  std::vector<HostAddress> addresses;
};

/// One port that the configuration wants to listen on, and what came of trying.
struct PortFact {
  std::string option;
  std::string endpoint;
  Status bound;
};

struct ConfigFacts {
  std::string path;
  StatusOr<ParsedOptions> parsed = absl::UnknownError("not read");
  std::vector<PortFact> ports;  ///< receiver only
  Status peer_host;             ///< receiver: is pd_peer_host an address of this host?
  Status proxy_host;            ///< sender: can its proxy's name be resolved?
  Status keys;                  ///< with curve: are the key files fine?
};

struct PeerFacts {
  std::string host;
  std::optional<std::uint16_t> port;
  Status resolved;
  std::string address;             ///< as text
  bool is_own = false;             ///< an address of this host
  std::string netdev;              ///< that the way there leaves through; empty: no way
  std::string source_ip;           ///< 4 or 16 bytes
  std::optional<Status> answered;  ///< with a port: what came of connecting
};

}  // namespace baton::doctor
