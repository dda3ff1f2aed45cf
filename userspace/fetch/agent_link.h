/* SPDX-License-Identifier: Apache-2.0 */
/*
 * This side of content/fetch_protocol.h. Sending waits for an agent that is slow to write; -EPIPE
 * says that it is gone, and that nobody wants to know more.
 */
#pragma once

#include <stdbool.h>

#include "content/fetch_protocol.h"

/* Texts of the request point into the message. *ret_upload_fd: -1 for none. */
int agent_link_receive(char message[FETCH_MESSAGE_MAX], struct fetch_request *ret_request,
		       int *ret_upload_fd, struct error *e);

/* NULL texts are not known. */
int agent_link_facts(int64_t size_bytes, const char *media_type, const char *digest);
int agent_link_bytes(const void *bytes, size_t length);
int agent_link_restart(void);
int agent_link_sent(int64_t bytes);
int agent_link_done(void);
int agent_link_failed(const struct error *e);

/* Waits for so long, or until the agent is gone. */
bool agent_link_is_gone(int wait_ms);
