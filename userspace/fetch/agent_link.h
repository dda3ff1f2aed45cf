/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varve-fetch's side of content/fetch_protocol.h. Sending blocks while the agent is slow; -EPIPE
 * means that the agent is gone and no reply is wanted.
 */
#pragma once

#include <stdbool.h>

#include "content/fetch_protocol.h"

/* Texts of the request point into the message. *ret_upload_fd: -1 for none. */
int agent_link_receive(char message[FETCH_MESSAGE_MAX], struct fetch_request *ret_request,
		       int *ret_upload_fd, struct error *e);

/* NULL for unknown texts. */
int agent_link_facts(int64_t size_bytes, const char *media_type, const char *digest);
int agent_link_bytes(const void *bytes, size_t length);
int agent_link_restart(void);
int agent_link_sent(int64_t bytes);
int agent_link_done(void);
int agent_link_failed(const struct error *e);

/* Waits for so long, or until the agent is gone. */
bool agent_link_is_gone(int wait_ms);
