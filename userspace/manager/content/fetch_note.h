/* SPDX-License-Identifier: Apache-2.0 */
/* What metrics and events tell of a blob that was fetched, or could not be. */
#pragma once

#include "manager/state/manager_state.h"

/* begun_ns: by the monotonic clock. code: the result of fetch_blob(). */
void fetch_note(struct manager *m, const char *digest, int64_t begun_ns, int64_t bytes, int code);
