#include "src/backend/pd_backend_impl.h"

#include <fmt/format.h>

#include "src/backend/settings.h"
#include "src/base/log.h"

namespace baton {
namespace {

const char* role_name(Role role) {
  switch (role) {
    case Role::kSender:
      return "sender";
    case Role::kReceiver:
      return "receiver";
    case Role::kBoth:
      return "both";
  }
  return "";
}

Status closed_error() {
  return absl::FailedPreconditionError(std::string("the backend is closed"));
}

std::uint16_t port_of(const std::string& endpoint) {
  return static_cast<std::uint16_t>(std::stoul(endpoint.substr(endpoint.rfind(':') + 1)));
}

}  // namespace

PdBackend::Impl::Impl(Options options, CacheLayout layout, std::unique_ptr<Stack> stack)
    : layout_(std::move(layout)), configured_(options) {
  install(std::move(stack), std::move(options));
}

void PdBackend::Impl::install(std::unique_ptr<Stack> stack, Options options) {
  std::thread::id loop_thread;
  stack->loop().run_sync([&] { loop_thread = std::this_thread::get_id(); });
  std::uint16_t init_port = 0;
  std::uint16_t alloc_port = 0;
  std::uint16_t query_port = 0;
  if (receives(options.pd_role)) {
    stack->loop().run_sync([&] {
      init_port = port_of(stack->receiver().init_endpoint());
      alloc_port = port_of(stack->receiver().alloc_endpoint());
      if (const std::string query = stack->receiver().query_endpoint(); !query.empty()) {
        query_port = port_of(query);
      }
    });
  }
  const MutexLock lock(mutex_);
  options_ = std::move(options);
  stack_ = std::move(stack);
  loop_thread_ = loop_thread;
  role_ = options_.pd_role;
  transports_ = stack_->transport_names();
  init_port_ = init_port;
  alloc_port_ = alloc_port;
  query_port_ = query_port;
}

// ---- using the stack ---------------------------------------------------------------------------

PdBackend::Impl::Use::~Use() {
  if (impl_ != nullptr) {
    const MutexLock lock(impl_->mutex_);
    if (--impl_->users_ == 0) {
      impl_->changed_.notify_all();
    }
  }
}

Status PdBackend::Impl::Use::check(Half needed) const {
  const Role role = options_->pd_role;
  const bool fits =
      needed == Half::kAny || (needed == Half::kSender ? sends(role) : receives(role));
  return fits ? absl::OkStatus()
              : absl::FailedPreconditionError(
                    fmt::format("this needs pd_role {} or both, the backend is a {}",
                                needed == Half::kSender ? "sender" : "receiver", role_name(role)));
}

Status PdBackend::Impl::Use::check_may_wait() const {
  return stack_->loop().on_loop()
             ? absl::FailedPreconditionError(std::string(
                   "a call that waits was made inside one of Baton's callbacks; it would wait for "
                   "itself"))
             : absl::OkStatus();
}

StatusOr<PdBackend::Impl::Use> PdBackend::Impl::use(Half needed) {
  const auto enter = [this]() -> StatusOr<Use> {
    const MutexLock lock(mutex_);
    if (gate_ == Gate::kClosed) {
      return closed_error();
    }
    if (gate_ == Gate::kChanging) {
      return absl::UnavailableError(
          std::string("the backend changes its role at this moment; try again"));
    }
    ++users_;
    return Use(*this, *stack_, options_);
  };
  auto used = enter();
  if (used.ok()) {
    if (Status fine = used->check(needed); !fine.ok()) {
      return fine;
    }
  }
  return used;
}

std::shared_ptr<void> PdBackend::Impl::take_slot(const Use& use) {
  if (slots_->fetch_add(1) >= use.options().pd_max_puts) {
    slots_->fetch_sub(1);
    return nullptr;
  }
  return {this, [slots = slots_](void*) { slots->fetch_sub(1); }};
}

Role PdBackend::Impl::role() {
  const MutexLock lock(mutex_);
  return role_;
}
std::vector<std::string> PdBackend::Impl::transports() {
  const MutexLock lock(mutex_);
  return transports_;
}
std::uint16_t PdBackend::Impl::init_port() {
  const MutexLock lock(mutex_);
  return init_port_;
}
std::uint16_t PdBackend::Impl::query_port() {
  const MutexLock lock(mutex_);
  return query_port_;
}
std::uint16_t PdBackend::Impl::alloc_port() {
  const MutexLock lock(mutex_);
  return alloc_port_;
}

// ---- the gate ----------------------------------------------------------------------------------

// condition_variable_any unlocks and locks the mutex behind the analysis's back.
Status PdBackend::Impl::shut(Gate gate) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  std::unique_lock<Mutex> lock(mutex_);
  // First of all: whoever changes the role now may be waiting for this very callback.
  if (loop_thread_ == std::this_thread::get_id()) {
    return absl::FailedPreconditionError(
        std::string("neither close() nor change_role() can be called inside one of Baton's "
                    "callbacks; it would wait for itself"));
  }
  if (gate == Gate::kClosed) {
    changed_.wait(lock,
                  [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return gate_ != Gate::kChanging; });
  }
  if (gate_ == Gate::kClosed) {
    return closed_error();
  }
  if (gate_ == Gate::kChanging) {
    return absl::UnavailableError(std::string("another change of the role is under way"));
  }
  gate_ = gate;
  changed_.wait(lock, [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return users_ == 0; });
  return absl::OkStatus();
}

void PdBackend::Impl::open_again() {
  {
    const MutexLock lock(mutex_);
    gate_ = Gate::kOpen;
  }
  changed_.notify_all();
}

void PdBackend::Impl::close() {
  if (shut(Gate::kClosed).ok()) {
    stack_->close();
    const MutexLock lock(mutex_);
    loop_thread_ = {};
  }
}

Options PdBackend::Impl::options_for(Role role) const {
  Options options = configured_;
  options.pd_role = role;
  if (role != Role::kBoth) {
    options.pd_staging_buffer_size = 0;
  }
  return options;
}

Status PdBackend::Impl::change_role(Role role) {
  const Options wanted = options_for(role);
  Status fine = wanted.validate();
  if (fine.ok()) {
    fine = check_layout(layout_, wanted);
  }
  if (fine.ok()) {
    fine = buffer_shape(layout_, wanted).status();
  }
  if (!fine.ok()) {
    return fine;
  }
  if (Status shut_now = shut(Gate::kChanging); !shut_now.ok()) {
    return shut_now;
  }
  // From here on this thread alone has the stack.
  const Role before = options_.pd_role;
  if (before == role) {
    open_again();
    return absl::OkStatus();
  }
  if (const std::string busy = stack_->retire(); !busy.empty()) {
    open_again();
    return absl::FailedPreconditionError(
        fmt::format("the role can't change from {} to {} while something is under way: {}; let it "
                    "end, or cancel it, and give all claims and memory objects back",
                    role_name(before), role_name(role), busy));
  }
  stack_->close();
  stack_.reset();
  {
    const MutexLock lock(mutex_);
    loop_thread_ = {};  // Another thread may get that name.
  }
  auto made = Stack::create(wanted, layout_, {});
  Status result = made.status();
  if (!made.ok()) {
    log::warning("the role stays {}: {}", role_name(before), std::string(result.message()));
    made = Stack::create(options_for(before), layout_, {});
  }
  if (made.ok()) {
    install(*std::move(made), result.ok() ? wanted : options_for(before));
    open_again();
  } else {
    {
      const MutexLock lock(mutex_);
      gate_ = Gate::kClosed;
    }
    changed_.notify_all();
    return Status(result.code(),
                  fmt::format("{}; nor could the backend begin again as {}, and is closed now: {}",
                              std::string(result.message()), role_name(before),
                              std::string(made.status().message())));
  }
  if (result.ok()) {
    log::info("the role has changed from {} to {}", role_name(before), role_name(role));
  }
  return result;
}

}  // namespace baton
