// bare_ucx: puts and a flush through UCX, as Baton's ucx transport asks for them, and nothing else.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <ucp/api/ucp.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "src/base/unique_fd.h"
#include "src/memory/registered_buffer.h"
#include "tools/bench/chunks.h"
#include "tools/bench/failed.h"
#include "tools/bench/json_pipe.h"
#include "tools/bench/role.h"

namespace baton::bench {
namespace {

void check_ucx(ucs_status_t status, const char* what) {
  if (status != UCS_OK) {
    throw Failed(fmt::format("{}: {}", what, ucs_status_string(status)));
  }
}

std::string to_hex(const void* bytes, std::size_t size) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    text += fmt::format("{:02x}", static_cast<const unsigned char*>(bytes)[i]);
  }
  return text;
}

std::string from_hex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

/// A context, a worker and a registered buffer. UCX's objects end with the process.
class Ucx {
 public:
  explicit Ucx(const Json& arguments)
      : buffer_(checked(RegisteredBuffer::create(arguments.at("chunk_bytes").get<std::size_t>(),
                                                 arguments.at("chunks").get<std::uint32_t>()),
                        "can't make a buffer")),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    ucp_config_t* config = nullptr;
    check_ucx(ucp_config_read(nullptr, nullptr, &config), "UCX's configuration");
    check_ucx(ucp_config_modify(config, "TLS", "tcp"), "UCX_TLS=tcp");
    ucp_params_t params{};
    params.field_mask = UCP_PARAM_FIELD_FEATURES;
    params.features = UCP_FEATURE_RMA | UCP_FEATURE_WAKEUP;
    check_ucx(ucp_init(&params, config, &context_), "ucp_init");
    ucp_config_release(config);
    ucp_worker_params_t how{};
    how.field_mask = UCP_WORKER_PARAM_FIELD_THREAD_MODE;
    how.thread_mode = UCS_THREAD_MODE_SINGLE;
    check_ucx(ucp_worker_create(context_, &how, &worker_), "ucp_worker_create");
    ucp_mem_map_params_t map{};
    map.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH;
    map.address = buffer_->data();
    map.length = buffer_->size_bytes();
    check_ucx(ucp_mem_map(context_, &map, &memory_), "ucp_mem_map");
    int fd = -1;
    check_ucx(ucp_worker_get_efd(worker_, &fd), "ucp_worker_get_efd");
    epoll_event event{};
    event.events = EPOLLIN;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  }

  RegisteredBuffer& buffer() { return *buffer_; }
  ucp_context_h context() { return context_; }
  ucp_worker_h worker() { return worker_; }
  ucp_mem_h memory() { return memory_; }

  /// Does what can be done; sleeps if that was nothing.
  void step() {
    if (ucp_worker_progress(worker_) == 0 && ucp_worker_arm(worker_) == UCS_OK) {
      epoll_event event{};
      ::epoll_wait(epoll_.get(), &event, 1, -1);
    }
  }

 private:
  std::unique_ptr<RegisteredBuffer> buffer_;
  UniqueFd epoll_;
  ucp_context_h context_ = nullptr;
  ucp_worker_h worker_ = nullptr;
  ucp_mem_h memory_ = nullptr;
};

class UcxTarget final : public Role {
 public:
  explicit UcxTarget(const Json& arguments) : ucx_(arguments) {
    ucp_address_t* address = nullptr;
    std::size_t bytes = 0;
    check_ucx(ucp_worker_get_address(ucx_.worker(), &address, &bytes), "ucp_worker_get_address");
    address_ = to_hex(address, bytes);
    void* key = nullptr;
    check_ucx(ucp_rkey_pack(ucx_.context(), ucx_.memory(), &key, &bytes), "ucp_rkey_pack");
    key_ = to_hex(key, bytes);
    // Ends with the process.
    std::thread([this] {
      while (true) {
        ucx_.step();
      }
    }).detach();
  }
  Json started() override {
    return {{"address", address_},
            {"key", key_},
            {"at", reinterpret_cast<std::uintptr_t>(ucx_.buffer().data())}};
  }
  Json call(const std::string& op, const Json& /*arguments*/) override {
    if (op == "nothing") {
      return Json::object();
    }
    throw Failed("a UCX target knows no " + op);
  }

 private:
  Ucx ucx_;
  std::string address_;
  std::string key_;
};

class UcxSource final : public Role {
 public:
  explicit UcxSource(const Json& arguments)
      : ucx_(arguments), target_at_(arguments.at("target").at("at").get<std::uintptr_t>()) {
    fill({ucx_.buffer().data(), ucx_.buffer().size_bytes()}, 11);
    const std::string address = from_hex(arguments.at("target").at("address").get<std::string>());
    const std::string key = from_hex(arguments.at("target").at("key").get<std::string>());
    ucp_ep_params_t params{};
    params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                        UCP_EP_PARAM_FIELD_ERR_HANDLER;
    params.address = reinterpret_cast<const ucp_address_t*>(address.data());
    params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
    params.err_handler = {.cb = [](void* /*arg*/, ucp_ep_h /*ep*/, ucs_status_t /*status*/) {},
                          .arg = nullptr};
    check_ucx(ucp_ep_create(ucx_.worker(), &params, &endpoint_), "ucp_ep_create");
    check_ucx(ucp_ep_rkey_unpack(endpoint_, key.data(), &key_), "ucp_ep_rkey_unpack");
    put_us(1);  // connects
  }

  Json call(const std::string& op, const Json& arguments) override {
    if (op != "puts") {
      throw Failed("a UCX source knows no " + op);
    }
    std::vector<double> us;
    for (std::uint32_t i = 0; i < arguments.at("times").get<std::uint32_t>(); ++i) {
      us.push_back(put_us(arguments.at("each").get<std::uint32_t>()));
    }
    return {{"us", us}};
  }

 private:
  double put_us(std::uint32_t chunks) {
    const RegisteredBuffer& buffer = ucx_.buffer();
    const auto begun = Clock::now();
    ucp_request_param_t param{};
    std::vector<void*> requests;
    for (std::uint32_t i = 0; i < chunks; ++i) {
      const std::uint32_t page = next_++ % buffer.page_count();
      keep(requests, ucp_put_nbx(endpoint_, buffer.page(page).data(), buffer.page_bytes(),
                                 target_at_ + page * buffer.page_bytes(), key_, &param));
    }
    keep(requests, ucp_ep_flush_nbx(endpoint_, &param));
    for (void* const request : requests) {
      while (ucp_request_check_status(request) == UCS_INPROGRESS) {
        ucx_.step();
      }
      check_ucx(ucp_request_check_status(request), "a put through UCX");
      ucp_request_free(request);
    }
    return std::chrono::duration<double, std::micro>(Clock::now() - begun).count();
  }

  static void keep(std::vector<void*>& requests, ucs_status_ptr_t request) {
    if (UCS_PTR_IS_PTR(request)) {
      requests.push_back(request);
    } else {
      check_ucx(UCS_PTR_STATUS(request), "a put through UCX");
    }
  }

  Ucx ucx_;
  std::uintptr_t target_at_;
  ucp_ep_h endpoint_ = nullptr;
  ucp_rkey_h key_ = nullptr;
  std::uint32_t next_ = 0;
};

}  // namespace

std::unique_ptr<Role> make_ucx_source(const Json& arguments) {
  return std::make_unique<UcxSource>(arguments);
}
std::unique_ptr<Role> make_ucx_target(const Json& arguments) {
  return std::make_unique<UcxTarget>(arguments);
}

}  // namespace baton::bench
