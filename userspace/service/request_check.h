/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What protobuf-c lets pass and we do not: a text that is not UTF-8, which protobuf refuses, and a
 * NUL inside of one, which C would silently take for its end. (It checks lengths and varints
 * itself.)
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

/* The name of the first string field, of the message or of one inside, that is faulty, and in what
 * ("must not contain NUL"); NULL when there is none. The bytes have been unpacked with this
 * descriptor already. */
const char *request_check_text(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
			       size_t length, const char **ret_fault);
