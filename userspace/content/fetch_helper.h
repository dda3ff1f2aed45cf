/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of varve-fetch: started with a request, read for its replies, killed and reaped at the
 * end. Belongs to one thread. Checks the form of replies; the caller verifies their content.
 */
#pragma once

#include "base/cleanup.h"
#include "content/fetch_control.h"
#include "content/fetch_protocol.h"

struct fetch_helper;

/* The request is copied; `upload_fd` is borrowed, -1 for none. */
int fetch_helper_start(const struct fetch_control *control, const struct fetch_request *request,
		       int upload_fd, struct fetch_helper **ret_helper, struct error *e);
/* Waits for the next reply, which is valid until the next call. The error of a FAILED reply is
 * returned; -ECANCELED, -ETIMEDOUT, -EIO: the helper misbehaves or has ended. */
int fetch_helper_next(struct fetch_helper *h, struct fetch_reply *ret_reply, struct error *e);
void fetch_helper_end(struct fetch_helper *h);
DEFINE_CLEANUP(struct fetch_helper *, fetch_helper_end)
