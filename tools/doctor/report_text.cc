#include <fmt/format.h>

#include "src/base/sysfs.h"
#include "tools/doctor/report.h"
#include "tools/doctor/text.h"

namespace baton::doctor {
namespace {

using transport::ucx::Gid;
using transport::ucx::RdmaDevice;
using transport::ucx::RdmaPort;

void add_devices(const HostFacts& host, std::string& out) {
  out += fmt::format("RDMA devices: {}\n", host.rdma_devices.empty() ? "none" : "");
  for (const RdmaDevice& device : host.rdma_devices) {
    out += fmt::format("  {}  {}, driver {}, firmware {}\n", device.name, device.node_type,
                       device.driver, device.firmware);
    for (const RdmaPort& port : device.ports) {
      out +=
          fmt::format("    port {}  {}, {}, {}, {}, LID {}, netdev {}\n", port.number, port.state,
                      port.physical_state, port.link_layer, port.rate, port.lid, port.netdev);
      const Gid* const taken =
          port.link_layer == "Ethernet" ? default_gid(port, host.ucx) : nullptr;
      for (const Gid& gid : port.gids) {
        out +=
            fmt::format("      GID {:<3} {}  {}  {}{}\n", gid.index, gid.value, to_string(gid.type),
                        gid.netdev, &gid == taken ? "  <- UCX's choice" : "");
      }
    }
  }
  for (const VerbsFile& file : host.verbs_files) {
    out += fmt::format("  {}  {}{}\n", file.path, file.device,
                       file.error == 0 ? "" : ", can't be opened");
  }
}

void add_memory(const HostFacts& host, std::string& out) {
  out += fmt::format("Locked memory: soft limit {}, hard limit {}{}\n",
                     limit_text(host.memlock.soft_bytes), limit_text(host.memlock.hard_bytes),
                     host.memlock.exempt ? "; lifted by CAP_IPC_LOCK" : "");
  out += "Huge pages:";
  for (const HugePages& pages : host.huge_pages) {
    out +=
        fmt::format(" {} of {} free ({}),", pages.free, pages.total, bytes_text(pages.page_bytes));
  }
  out += fmt::format(" transparent: {}, for shared memory: {}\n", host.transparent_huge_pages,
                     host.shmem_huge_pages);
  out += fmt::format("Memory: {}, {} available\n", bytes_text(host.memory_bytes),
                     bytes_text(host.available_bytes));
}

void add_ucx(const HostFacts& host, std::string& out) {
  out += fmt::format("UCX: {}.{}.{}\n", host.ucx.major, host.ucx.minor, host.ucx.release);
  for (const auto& [name, value] : host.ucx_environment) {
    out += fmt::format("  {}={}\n", name, value);
  }
}

void add_peer(const Report& report, std::string& out) {
  if (!report.peer) {
    return;
  }
  const PeerFacts& peer = *report.peer;
  const PeerVerdict& verdict = report.verdict;
  out += fmt::format("Peer {}: ", printable(peer.host));
  if (verdict.choice.empty()) {
    out += fmt::format("no transport: {}\n", verdict.why);
    return;
  }
  out += fmt::format("{}{}\n  because {}\n", verdict.choice,
                     verdict.otherwise.empty() ? "" : fmt::format(", else {}", verdict.otherwise),
                     verdict.why);
}

}  // namespace

std::string text_report(const Report& report) {
  std::string out;
  out += fmt::format("Transports: shm {}, ucx {}, tcp {}\n", report.plan.shm ? "yes" : "no",
                     report.plan.ucx ? "yes" : fmt::format("no ({})", report.plan.why_no_ucx),
                     report.plan.tcp ? "yes" : "no");
  add_devices(report.host, out);
  add_memory(report.host, out);
  add_ucx(report.host, out);
  add_peer(report, out);
  out += "\n";
  for (const Finding& finding : report.findings) {
    out += fmt::format("{:<8} {}: {}\n", to_string(finding.level), finding.topic, finding.what);
    if (!finding.remedy.empty()) {
      out += fmt::format("{:<8} -> {}\n", "", finding.remedy);
    }
  }
  if (report.config_path) {
    out +=
        any_error(report.findings)
            ? fmt::format("\n{} can't work here: see the errors.\n", printable(*report.config_path))
            : fmt::format("\n{} can work here.\n", printable(*report.config_path));
  }
  return out;
}

}  // namespace baton::doctor
