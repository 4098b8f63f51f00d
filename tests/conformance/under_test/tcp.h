// The tcp transport with options of a test's own.
#pragma once

#include "src/transport/tcp/tcp_options.h"
#include "tests/conformance/transport_under_test.h"

namespace baton::conformance {

std::unique_ptr<TransportUnderTest> make_tcp_under_test(const transport::TcpOptions& options);

}  // namespace baton::conformance
