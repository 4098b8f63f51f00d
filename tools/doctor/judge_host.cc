#include <fmt/format.h>

#include <algorithm>

#include "tools/doctor/judge.h"
#include "tools/doctor/text.h"

namespace baton::doctor {
namespace {

void judge_memlock(const HostFacts& host, Findings& out) {
  const Memlock& limit = host.memlock;
  if (limit.exempt) {
    out.push_back({Level::kOk, "memlock",
                   "CAP_IPC_LOCK lifts the limit on locked memory for this process", ""});
    return;
  }
  if (!limit.soft_bytes) {
    out.push_back({Level::kOk, "memlock", "locked memory is unlimited", ""});
    return;
  }
  out.push_back(
      {any_active_port(host.rdma_devices) ? Level::kWarning : Level::kNote, "memlock",
       fmt::format(
           "at most {} may be locked (hard limit {}), and RDMA locks the whole buffer; give "
           "--config to compare",
           limit_text(limit.soft_bytes), limit_text(limit.hard_bytes)),
       "for RDMA, raise it (docs/rdma.md, \"Memory\"): LimitMEMLOCK=infinity in a systemd unit, "
       "docker run --ulimit memlock=-1, `ulimit -l` in a shell"});
}

void judge_transports(const HostFacts& host, Findings& out) {
  const TransportPlan plan = plan_transports(host, Options{});
  out.push_back({Level::kOk, "transports",
                 plan.ucx ? "shm, ucx (RDMA) and tcp can be offered, in this order"
                          : fmt::format("shm and tcp can be offered; ucx not: {}", plan.why_no_ucx),
                 ""});
}

/// What the limit on locked memory leaves open.
TransportPlan plan_by_devices(const HostFacts& host, const Options& options) {
  const TransportChoice wish = options.pd_transport;
  const bool all = wish == TransportChoice::kAuto;
  const bool rdma = any_active_port(host.rdma_devices);
  TransportPlan plan;
  plan.shm = all || wish == TransportChoice::kShm;
  plan.tcp = all || wish == TransportChoice::kTcp;
  const bool wants_ucx = all || wish == TransportChoice::kUcx;
  plan.ucx_over_rdma = wants_ucx && rdma;
  plan.ucx = wants_ucx && (rdma || (wish == TransportChoice::kUcx && options.insecure_data_plane));
  if (!wants_ucx) {
    plan.why_no_ucx = "pd_transport names another";
  } else if (plan.ucx && host.ucx_opened && !host.ucx_opened->ok()) {
    plan.ucx = plan.ucx_over_rdma = false;
    plan.why_no_ucx = std::string(host.ucx_opened->message());
  } else if (!plan.ucx) {
    plan.why_no_ucx = host.rdma_devices.empty() ? "there is no RDMA device"
                                                : "no RDMA port that it can use is ACTIVE";
  }
  return plan;
}

}  // namespace

TransportPlan plan_transports(const HostFacts& host, const Options& options) {
  TransportPlan plan = plan_by_devices(host, options);
  if (plan.ucx_over_rdma && host.memlock.limits(bytes_to_lock(host, options))) {
    plan.ucx = plan.ucx_over_rdma = false;
    plan.why_no_ucx =
        fmt::format("it would lock {} of memory, and only {} may be locked",
                    bytes_text(bytes_to_lock(host, options)), limit_text(host.memlock.soft_bytes));
  }
  return plan;
}

Finding judge_huge_pages(const HostFacts& host) {
  if (host.shmem_huge_pages == "always" || host.shmem_huge_pages == "within_size") {
    return {Level::kOk, "hugepages",
            fmt::format("the buffer will have huge pages where the kernel finds some "
                        "(shmem_enabled: {})",
                        host.shmem_huge_pages),
            ""};
  }
  return {Level::kNote, "hugepages",
          fmt::format("the buffer will have ordinary pages (shmem_enabled: {}); huge ones are "
                      "registered faster and spare the adapter's page tables",
                      host.shmem_huge_pages),
          "for large buffers: echo within_size > "
          "/sys/kernel/mm/transparent_hugepage/shmem_enabled, before the start"};
}

Findings judge_defaults(const HostFacts& host) {
  Findings out;
  judge_transports(host, out);
  judge_memlock(host, out);
  return out;
}

bool any_error(const Findings& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& finding) { return finding.level == Level::kError; });
}

}  // namespace baton::doctor
