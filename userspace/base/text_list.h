/* SPDX-License-Identifier: Apache-2.0 */
/* Growing arrays of copied texts. The caller keeps the array and the number of texts. */
#pragma once

#include <stddef.h>

/* Adds a copy of the text. 0, or -ENOMEM: then none is added. */
int text_list_add(char ***texts, size_t *count, const char *text);
/* Frees the texts and the array. */
void text_list_free(char **texts, size_t count);
