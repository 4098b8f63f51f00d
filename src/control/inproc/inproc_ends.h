// The four ends that an InprocNetwork makes: each owns its state and goes through the hub.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "src/control/control.h"
#include "src/control/inproc/inproc_hub.h"

namespace baton::control::inproc {

class InprocServer final : public Server {
 public:
  InprocServer(std::shared_ptr<Hub> hub, Place place, std::string endpoint, Handler handler);
  ~InprocServer() override { hub_->remove(*state_); }
  Status send(const Route& to, std::string_view payload) override {
    return hub_->send_to_client(*state_, to, payload);
  }
  void cut_off(const Route& from) override { state_->cut_off.insert(from); }
  std::string endpoint() const override { return state_->endpoint; }

 private:
  const std::shared_ptr<Hub> hub_;
  const std::shared_ptr<ServerState> state_;
};

class InprocClient final : public Client {
 public:
  InprocClient(std::shared_ptr<Hub> hub, Place place, std::string endpoint, std::string identity,
               Handler handler);
  Status send(std::string_view payload) override { return hub_->send_to_server(*state_, payload); }

 private:
  const std::shared_ptr<Hub> hub_;
  const std::shared_ptr<ClientState> state_;
};

class InprocPull final : public Pull {
 public:
  InprocPull(std::shared_ptr<Hub> hub, Place place, std::string endpoint, Handler handler);
  ~InprocPull() override { hub_->remove(*state_); }
  std::string endpoint() const override { return state_->endpoint; }

 private:
  const std::shared_ptr<Hub> hub_;
  const std::shared_ptr<PullState> state_;
};

class InprocPush final : public Push {
 public:
  InprocPush(std::shared_ptr<Hub> hub, Place place, std::string endpoint);
  Status send(std::string_view payload) override { return hub_->send_to_pull(*state_, payload); }
  std::uint64_t incarnation() const override { return state_->incarnation; }
  void set_writable(Writable writable) override;

 private:
  const std::shared_ptr<Hub> hub_;
  const std::shared_ptr<PushState> state_;
};

}  // namespace baton::control::inproc
