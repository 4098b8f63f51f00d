// The route of what a sender says over its data connection.
#pragma once

#include <optional>
#include <string>

#include "src/base/epoch.h"
#include "src/control/control.h"
#include "src/control/endpoint.h"

namespace baton::receiver {

/// No socket can have such an identity: ZeroMQ keeps those that begin with a zero to itself.
inline control::Route lane_route(const Epoch& sender) {
  control::Route route(1, '\0');
  route.append(sender.view());
  return route;
}

/// Whose lane it is; nothing if it is a socket's route.
inline std::optional<Epoch> lane_of(const control::Route& route) {
  if (!route.starts_with('\0')) {
    return std::nullopt;
  }
  const auto epoch = Epoch::from_bytes(std::string_view(route).substr(1));
  return epoch.ok() ? std::optional(*epoch) : std::nullopt;
}

/// What comes by that route may speak for `sender`: its lane is proven to be its process's, and of
/// a socket the identity decides.
inline bool speaks_for(const control::Route& route, const Epoch& sender) {
  const auto lane = lane_of(route);
  return lane.has_value() ? *lane == sender : control::is_of_epoch(route, sender.hex());
}

}  // namespace baton::receiver
