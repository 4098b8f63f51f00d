#include "tools/demo/orders.h"

#include <fmt/format.h>

#include <utility>

namespace baton::demo {
namespace {

Status check_order(const PlannedRequest& request, std::uint32_t expected) {
  if (request.index == expected && request.follows < static_cast<std::int64_t>(expected)) {
    return absl::OkStatus();
  }
  return absl::DataLossError(fmt::format("request {} (after {}) came where number {} was due",
                                         request.index, request.follows, expected));
}

}  // namespace

StatusOr<Orders> receive_orders(MessagePipe& pipe) {
  const auto deadline = Clock::now() + std::chrono::minutes(1);
  auto setup = pipe.receive_a<Setup>(deadline);
  if (!setup.ok()) {
    return setup.status();
  }
  Orders orders{*std::move(setup), {}};
  for (std::uint32_t i = 0; i < orders.setup.requests; ++i) {
    auto request = pipe.receive_a<PlannedRequest>(deadline);
    if (!request.ok()) {
      return request.status();
    }
    if (Status fine = check_order(*request, i); !fine.ok()) {
      return fine;
    }
    orders.requests.push_back(*std::move(request));
  }
  return orders;
}

}  // namespace baton::demo
