// Status values: how Baton reports what goes wrong in the world.
//
// Which code means what, across the whole API:
//   kInvalidArgument     the caller passed something that can never work
//   kFailedPrecondition  right call, wrong moment or wrong role (also: closed)
//   kResourceExhausted   it can't fit now, or never (the message says which)
//   kUnavailable         the peer or the proxy isn't there; trying later may help
//   kDeadlineExceeded    a time limit passed; the message names which and how long
//   kDataLoss            bytes were not what they should have been (digest, nonsense on the wire)
//   kAborted / kCancelled  the request failed, or was cancelled
//   kNotFound            no such request or chunk
#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace baton {

using Status = absl::Status;
using StatusCode = absl::StatusCode;

template <typename T>
using StatusOr = absl::StatusOr<T>;

}  // namespace baton
