/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of requests that protobuf-c lets pass: a text that is not UTF-8, or has a NUL inside,
 * which C would take for its end; and lists of so many items that unpacking them takes many times
 * the memory of the request. (It checks lengths and varints itself.)
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

/* As many as a lease may have external references. */
#define REQUEST_CHECK_ITEMS_MAX 100000

/* The name of the first field, of the message or of one inside, that is faulty, and in what ("must
 * not contain NUL"); NULL when there is none. Bytes that cannot be unpacked may have none. */
const char *request_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
			  size_t length, const char **ret_fault);
