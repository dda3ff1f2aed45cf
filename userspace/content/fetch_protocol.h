/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The protocol between the agent and varve-fetch, over a SOCK_SEQPACKET socket: one request, with
 * a file to upload as SCM_RIGHTS, then replies. Neither side trusts the other: messages that pass
 * the readers are well formed, and their texts are printable ASCII.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strbuf.h"

#define FETCH_MESSAGE_MAX (64 * 1024)
#define FETCH_SOCKET 0 /* descriptor of varve-fetch's end */
#define FETCH_USER "varve-fetch" /* the user it becomes; "nobody" where there is none */

enum fetch_operation {
	FETCH_GET_MANIFEST,
	FETCH_GET_BLOB,
	FETCH_PUT_BLOB,
	FETCH_PUT_MANIFEST,
};

struct fetch_request {
	enum fetch_operation operation;
	uint32_t stall_seconds; /* longest time without data on a connection */
	int64_t offset_bytes; /* GET_BLOB: how much the agent has already */
	int64_t size_bytes; /* PUT_*: of the file */
	/* Never NULL. */
	const char *registry; /* "[http[s]://]host[:port]" */
	const char *repository;
	const char *reference; /* a digest or, for manifests, a tag */
	const char *media_type; /* PUT_MANIFEST */
	const char *credentials; /* "user:password", "" for none */
};

/* -EINVAL quotes an invalid registry, repository, tag or digest. */
int fetch_request_check(const struct fetch_request *request, struct error *e);
void fetch_request_write(const struct fetch_request *request, struct strbuf *out);
/* Texts point into the message. -EBADMSG. */
int fetch_request_read(const void *message, size_t length, struct fetch_request *ret_request);

enum fetch_reply_kind {
	FETCH_REPLY_FACTS, /* before the first bytes, and at the end of an upload */
	FETCH_REPLY_BYTES, /* the next ones */
	FETCH_REPLY_RESTART, /* the next bytes are the first ones again */
	FETCH_REPLY_SENT, /* how much has been uploaded */
	FETCH_REPLY_DONE,
	FETCH_REPLY_FAILED, /* the last one */
};

struct fetch_reply {
	enum fetch_reply_kind kind;
	int code; /* FAILED: a negative errno */
	int64_t size_bytes; /* FACTS: of the whole, -1: not known; SENT */
	const void *bytes; /* BYTES; at least one */
	size_t length;
	const char *media_type, *digest; /* FACTS; "" for what the registry does not send */
	const char *text; /* FAILED */
};

/* The start of a reply on the wire; bytes, or texts with their NULs, follow. */
struct fetch_reply_head {
	uint32_t kind;
	int32_t code;
	int64_t size_bytes;
};

/* Texts point into the message. -EBADMSG. */
int fetch_reply_read(const void *message, size_t length, struct fetch_reply *ret_reply);
