/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls the agent. `method` names a method of the service varve.v1.Cache, `type` describes its
 * replies. The first call connects; when the agent cannot be reached it sets c->exit.
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

/* Returns the only reply, which the caller frees; NULL on failure or when there is not exactly one.
 */
void *cli_call_one(struct cli *c, const char *method, const ProtobufCMessage *request,
		   const ProtobufCMessageDescriptor *type, struct error *e);
/* Collects all replies. */
int cli_call_all(struct cli *c, const char *method, const ProtobufCMessage *request,
		 const ProtobufCMessageDescriptor *type, struct cli_replies *ret_replies,
		 struct error *e);
/* Passes each reply to `each` as it arrives, borrowed; a negative return value cancels the call. */
int cli_call_each(struct cli *c, const char *method, const ProtobufCMessage *request,
		  const ProtobufCMessageDescriptor *type,
		  int (*each)(const ProtobufCMessage *reply, void *user, struct error *e),
		  void *user, struct error *e);
/* For methods whose reply is empty. */
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
