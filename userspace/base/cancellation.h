/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A caller that goes away sets a flag, and long work looks at it. NULL stands for work that is
 * never cancelled.
 */
#pragma once

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/error.h"

static inline bool is_cancelled(const atomic_bool *cancelled)
{
	return cancelled && atomic_load_explicit(cancelled, memory_order_relaxed);
}

/* -ECANCELED with a text once the flag is set. */
static inline int cancellation_check(const atomic_bool *cancelled, struct error *e)
{
	return is_cancelled(cancelled) ? error_set(e, -ECANCELED, "the call was cancelled") : 0;
}
