#include "src/transport/transport.h"

namespace baton::transport {
namespace {

Status carries_none() {
  return absl::UnimplementedError(std::string("this transport carries no messages"));
}

}  // namespace

Status Transport::tell_receiver(const PeerId& /*receiver*/, std::string_view /*message*/) {
  return carries_none();
}

Status Transport::tell_writer(const PeerId& /*writer*/, std::string_view /*message*/) {
  return carries_none();
}

Status Transport::write_at_once(const PeerId& /*receiver*/, const std::vector<WriteOp>& /*ops*/) {
  return absl::UnimplementedError(std::string("this transport writes in batches"));
}

}  // namespace baton::transport
