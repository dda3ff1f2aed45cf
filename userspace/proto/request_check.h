/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of requests that protobuf-c lets pass: a text that is not UTF-8, or has a NUL inside,
 * which C would take for its end; and so many items of lists, or fields that are unknown or
 * repeated without being a list, that unpacking them takes many times the memory of the request.
 * (It checks lengths and varints itself.)
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

/* The number of external references that a lease may have. */
#define REQUEST_CHECK_ITEMS_MAX 100000

/* The name of the first faulty field of the message or of a message inside it (or of the message
 * that has too many fields), and its fault ("must not contain NUL"); NULL when there is none. Bytes
 * that cannot be unpacked may have no faulty field. */
const char *request_check(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
			  size_t length, const char **ret_fault);
/* The same with another limit of items. */
const char *request_check_items(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
				size_t length, size_t items_max, const char **ret_fault);
