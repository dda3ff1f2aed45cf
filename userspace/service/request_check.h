/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What protobuf-c lets pass and we do not: a NUL inside of a text, which C would silently take for
 * its end. (It checks lengths and varints itself.)
 */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>

/* The name of the first string field, of the message or of one inside, that holds a NUL; NULL when
 * there is none. The bytes have been unpacked with this descriptor already. */
const char *request_check_nul(const ProtobufCMessageDescriptor *type, const uint8_t *bytes,
			      size_t length);
