// What every entry point of the shim shares: tensors cross as pointers to at::Tensor (as in tch), exceptions never cross;
// they become a malloc'd message that the caller frees with begat_free_message. Null means success.
#pragma once

#include <c10/util/Exception.h>

#include <cstring>
#include <exception>

namespace begat {

template <class Body>
char* guarded(Body&& body) {
  try {
    body();
    return nullptr;
  } catch (const c10::Error& error) {
    return strdup(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("an unknown C++ exception");
  }
}

}  // namespace begat
