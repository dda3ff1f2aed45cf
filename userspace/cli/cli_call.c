/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli_call.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/vec.h"
#include "varve.pb-c.h"

struct call {
	const char *method;
	const ProtobufCMessageDescriptor *type;
	int (*each)(const ProtobufCMessage *reply, void *user, struct error *e);
	struct cli_replies *keep; /* where replies are collected, instead of `each` */
	void *user;
	struct error *e;
	int refused; /* what receive() returned; its text is in e */
	size_t count;
};

static int keep(struct cli_replies *replies, ProtobufCMessage *message, struct error *e)
{
	ProtobufCMessage **items =
		vec_reserve(replies->items, &replies->capacity, replies->count + 1, sizeof(*items));

	if (!items)
		return error_set(e, -ENOMEM, "out of memory for the agent's reply");
	replies->items = items;
	replies->items[replies->count++] = message;
	return 0;
}

static int receive(const uint8_t *message, size_t length, void *user)
{
	struct call *call = user;
	cleanup(free_reply) ProtobufCMessage *reply =
		protobuf_c_message_unpack(call->type, NULL, length, message);
	int code;

	if (!reply) {
		call->refused =
			error_set(call->e, -EBADMSG,
				  "cannot decode the agent's reply to %s; check that varve and "
				  "varved have the same version (varve version)",
				  call->method);
		return call->refused;
	}
	call->count++;
	if (call->keep) {
		code = keep(call->keep, reply, call->e);
		if (code == 0)
			reply = NULL;
	} else {
		code = call->each(reply, call->user, call->e);
	}
	if (code < 0)
		call->refused = code;
	return code;
}

static int connect_once(struct cli *c, struct error *e)
{
	int code;

	if (c->client)
		return 0;
	code = grpc_client_connect(c->address, &c->client, e);
	/* Callers with read-only access need not know about two sockets. */
	if (code == -EACCES && strcmp(c->address, CLI_DEFAULT_ADDRESS) == 0 &&
	    grpc_client_connect(CLI_READ_ONLY_ADDRESS, &c->client, NULL) == 0)
		return 0;
	/* A missing socket must not look like a missing record. */
	if (code < 0 && code != -EACCES && code != -EPERM)
		c->exit = CLI_EXIT_UNREACHABLE;
	return code;
}

static int make_call(struct cli *c, struct call *call, const ProtobufCMessage *request)
{
	size_t length = protobuf_c_message_get_packed_size(request);
	cleanup(free_ptr) uint8_t *packed = malloc(length + 1); /* an empty message has no bytes */
	struct error reported = { 0 };
	int64_t started_ns = clock_boot_ns();
	char path[64];
	int code = connect_once(c, call->e);

	if (code < 0)
		return code;
	if (!packed)
		return error_set(call->e, -ENOMEM, "out of memory for the request");
	(void)protobuf_c_message_pack(request, packed);
	(void)snprintf(path, sizeof(path), "/varve.v1.Cache/%s",
		       call->method); /* method names are short */

	code = grpc_client_call(c->client, path, packed, length, receive, call, &reported);
	if (c->line.globals.verbose)
		(void)fprintf(stderr, "varve: %s: %zu replies in %.1f ms\n", call->method,
			      call->count, (double)(clock_boot_ns() - started_ns) / 1e6);
	if (call->refused < 0)
		return call->refused; /* its text is ours, not that of the cancelled call */
	if (code < 0)
		return error_set(call->e, code, "%s", reported.text);
	return 0;
}

int cli_call_all(struct cli *c, const char *method, const ProtobufCMessage *request,
		 const ProtobufCMessageDescriptor *type, struct cli_replies *ret_replies,
		 struct error *e)
{
	cleanup(cli_call_free_replies) struct cli_replies replies = { 0 };
	struct call call = { .method = method, .type = type, .keep = &replies, .e = e };
	int code = make_call(c, &call, request);

	if (code < 0)
		return code;
	*ret_replies = replies;
	replies = (struct cli_replies){ 0 };
	return 0;
}

void *cli_call_one(struct cli *c, const char *method, const ProtobufCMessage *request,
		   const ProtobufCMessageDescriptor *type, struct error *e)
{
	cleanup(cli_call_free_replies) struct cli_replies replies = { 0 };
	struct call call = { .method = method, .type = type, .keep = &replies, .e = e };

	if (make_call(c, &call, request) < 0)
		return NULL;
	if (replies.count != 1) {
		(void)error_set(e, -EPROTO, "the agent sent %zu replies to %s instead of one",
				replies.count, method);
		return NULL;
	}
	return take_ptr(replies.items[0]);
}

int cli_call_each(struct cli *c, const char *method, const ProtobufCMessage *request,
		  const ProtobufCMessageDescriptor *type,
		  int (*each)(const ProtobufCMessage *reply, void *user, struct error *e),
		  void *user, struct error *e)
{
	struct call call = { .method = method, .type = type, .each = each, .user = user, .e = e };

	return make_call(c, &call, request);
}

int cli_call(struct cli *c, const char *method, const ProtobufCMessage *request, struct error *e)
{
	cleanup(free_reply) Varve__V1__Empty *reply =
		cli_call_one(c, method, request, &varve__v1__empty__descriptor, e);

	return reply ? 0 : e->code;
}

void cli_call_free_replies(struct cli_replies *replies)
{
	for (size_t i = 0; i < replies->count; i++)
		if (replies->items[i])
			protobuf_c_message_free_unpacked(replies->items[i], NULL);
	free(replies->items);
	*replies = (struct cli_replies){ 0 };
}
