/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers and times as tar headers hold them. Fields have a fixed size and need no NUL; what cannot
 * be read is an error, never a guess: a wrong size would move every entry behind it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Octal digits, or a signed number in base 256 (first bit set). Empty is 0. -EBADMSG. */
int tar_field_number(const char *field, size_t size, int64_t *ret_number);
/* The decimal number of a pax record. -EBADMSG. */
int tar_field_decimal(const char *text, size_t length, int64_t *ret_number);
/* The time of a pax record: seconds with a sign and a fraction, rounded down to ns. -EBADMSG. */
int tar_field_time(const char *text, size_t length, struct timespec *ret_time);
