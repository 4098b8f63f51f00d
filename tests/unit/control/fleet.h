// A small fleet with keys: who is who in one list, as an operator would write it.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zmq.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "src/security/credentials.h"
#include "tests/unit/control/harness.h"

namespace baton::control {

class Fleet {
 public:
  /// A new key; in the list unless the role is empty.
  void add(const std::string& name, const std::string& role, const std::string& addresses = "") {
    const auto& key = keys_.emplace(name, security::SecretKey::generate()).first->second;
    if (!role.empty()) {
      list_ += fmt::format("{} {} {} {}\n", key.public_key().hex(), name, role, addresses);
    }
  }
  const security::SecretKey& key(const std::string& name) const { return keys_.at(name); }
  const std::string& list() const { return list_; }

  std::shared_ptr<security::Credentials> credentials(const std::string& name) const {
    return credentials(name, list_);
  }
  std::shared_ptr<security::Credentials> credentials(const std::string& name,
                                                     const std::string& list) const {
    std::string hex;
    for (const auto byte : key(name).bytes()) {
      hex += fmt::format("{:02x}", byte);
    }
    return std::make_shared<security::Credentials>(
        security::Credentials{.secret = security::SecretKey::parse(hex).value(),
                              .peers = security::PeerKeys::parse(list, "peers.keys").value()});
  }

 private:
  std::map<std::string, security::SecretKey> keys_;
  std::string list_;
};

inline ZmqOptions with_keys(std::shared_ptr<const security::Credentials> credentials) {
  ZmqOptions options = test_zmq_options();
  options.credentials = std::move(credentials);
  return options;
}

/// Makes a stranger's socket a CURVE client.
inline void use_keys(RawZmq& peer, const security::SecretKey& own,
                     const security::PublicKey& server) {
  peer.set(ZMQ_CURVE_SERVERKEY, server.bytes());
  peer.set(ZMQ_CURVE_PUBLICKEY, own.public_key().bytes());
  peer.set(ZMQ_CURVE_SECRETKEY, own.bytes());
}

}  // namespace baton::control
