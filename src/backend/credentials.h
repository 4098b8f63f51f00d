// The keys that the options name, checked before anything is bound.
#pragma once

#include <memory>

#include "baton/options.h"
#include "src/security/credentials.h"

namespace baton {

/// Null without pd_security: curve. Errors name the option, the file, and what to do. Says in the
/// log once what is not protected.
StatusOr<std::shared_ptr<const security::Credentials>> load_credentials(const Options& options);

}  // namespace baton
