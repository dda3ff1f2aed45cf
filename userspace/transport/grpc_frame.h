/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of gRPC that are not HTTP/2: the five bytes before each message, and the texts of the
 * headers grpc-message, grpc-timeout and content-type. Pure; server and client share it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GRPC_FRAME_PREFIX_BYTES 5

/* Assembles messages from pieces, one after the other. Starts as zeros, with the limit set. */
struct grpc_frame_reader {
	size_t max_message_bytes;
	uint8_t prefix[GRPC_FRAME_PREFIX_BYTES];
	size_t prefix_length;
	uint8_t *message; /* NULL before its first byte */
	size_t length; /* as announced, once the prefix is complete */
	size_t received;
	size_t capacity; /* grows as bytes arrive, whatever length was announced */
};

/* Takes bytes up to the end of the current message and moves *bytes and *length past them.
 * -EOPNOTSUPP for a compressed message, -EMSGSIZE for one over the limit, -ENOMEM. */
int grpc_frame_read(struct grpc_frame_reader *r, const uint8_t **bytes, size_t *length,
		    struct error *e);
bool grpc_frame_is_whole(const struct grpc_frame_reader *r);
/* Whether no byte of the next message has arrived. */
bool grpc_frame_is_empty(const struct grpc_frame_reader *r);
/* Starts the next message, and keeps the memory. */
void grpc_frame_next(struct grpc_frame_reader *r);
void grpc_frame_reader_free(struct grpc_frame_reader *r);

/* The prefix of an uncompressed message; length must fit 32 bits. */
void grpc_frame_write_prefix(uint8_t prefix[GRPC_FRAME_PREFIX_BYTES], size_t length);

/* grpc-message: everything but printable ASCII becomes %XX, and so does a blank at either end. The
 * caller frees; NULL: no memory. */
char *grpc_frame_encode_text(const char *text);
/* A % that no two hex digits follow stays as it is, and so does %00: a text has no NUL inside. */
char *grpc_frame_decode_text(const char *text, size_t length);

/* grpc-timeout: one to eight digits and one of H M S m u n. -EINVAL; saturates at INT64_MAX. */
int grpc_frame_parse_timeout(const char *text, size_t length, int64_t *ret_ns);
/* content-type: application/grpc, with or without a +suffix or ;parameters. */
bool grpc_frame_is_content_type(const char *text, size_t length);
