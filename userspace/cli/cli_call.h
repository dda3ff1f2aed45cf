/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls the agent: `method` is one of the service varve.v1.Cache, `type` describes its replies.
 * The first call connects; an agent that cannot be reached sets the exit of `c`.
 */
#pragma once

#include <stddef.h>

#include <protobuf-c/protobuf-c.h>

#include "base/cleanup.h"
#include "cli/cli.h"

struct cli_replies {
	ProtobufCMessage **items;
	size_t count, capacity;
};

/* Exactly one reply, which the caller frees; NULL on failure. */
void *cli_call_one(struct cli *c, const char *method, const ProtobufCMessage *request,
		   const ProtobufCMessageDescriptor *type, struct error *e);
/* All replies. */
int cli_call_all(struct cli *c, const char *method, const ProtobufCMessage *request,
		 const ProtobufCMessageDescriptor *type, struct cli_replies *ret_replies,
		 struct error *e);
/* Each reply as it comes, borrowed for the call; a negative return of `each` cancels. */
int cli_call_each(struct cli *c, const char *method, const ProtobufCMessage *request,
		  const ProtobufCMessageDescriptor *type,
		  int (*each)(const ProtobufCMessage *reply, void *user, struct error *e),
		  void *user, struct error *e);
/* For methods whose reply says nothing. */
int cli_call(struct cli *c, const char *method, const ProtobufCMessage *request, struct error *e);

void cli_call_free_replies(struct cli_replies *replies);
DEFINE_CLEANUP_VALUE(struct cli_replies, cli_call_free_replies)

/* For a reply of any type. */
static inline void cleanup_free_reply(void *reply)
{
	ProtobufCMessage *message = *(ProtobufCMessage **)reply;

	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
}
