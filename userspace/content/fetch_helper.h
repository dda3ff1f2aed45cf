/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of varve-fetch: started with a request, asked for its replies, killed and reaped at the
 * end. Belongs to one thread. What it says is checked for form; whether it is true is for the
 * caller.
 */
#pragma once

#include "base/cleanup.h"
#include "content/fetch_control.h"
#include "content/fetch_protocol.h"

struct fetch_helper;

/* The request is copied; `upload_fd` is borrowed, -1 for none. */
int fetch_helper_start(const struct fetch_control *control, const struct fetch_request *request,
		       int upload_fd, struct fetch_helper **ret_helper, struct error *e);
/* Waits for the next reply, which is good until the next call. A reply that says FAILED is returned
 * as the error that it is; -ECANCELED, -ETIMEDOUT, and -EIO for a helper that misbehaves or ends.
 */
int fetch_helper_next(struct fetch_helper *h, struct fetch_reply *ret_reply, struct error *e);
void fetch_helper_end(struct fetch_helper *h);
DEFINE_CLEANUP(struct fetch_helper *, fetch_helper_end)
