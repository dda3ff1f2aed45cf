/* SPDX-License-Identifier: Apache-2.0 */
/* What the headers of a request say. Pure. */
#pragma once

#include <stdbool.h>

/* Whether an Accept header (NULL: there is none) prefers OpenMetrics 1.0 to plain text. */
bool negotiation_wants_open_metrics(const char *accept);
/* Whether a Host header names this machine, as a browser must that was not tricked into asking for
 * a foreign name: localhost, 127.0.0.0/8, [::1], each with or without a port. NULL passes: programs
 * that are not browsers may leave the header out. */
bool negotiation_is_local_host(const char *host);
