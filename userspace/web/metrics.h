/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer to a scrape. An answer is kept for a second, so that no number of scrapes keeps the
 * store busy. One thread uses it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/error.h"

struct grpc_meters;
struct manager;
struct metrics;

#define METRICS_SERIES_MAX 2000

/* Both arguments must outlive it. NULL: out of memory. */
struct metrics *metrics_new(struct manager *m, const struct grpc_meters *calls);
void metrics_free(struct metrics *metrics);
DEFINE_CLEANUP(struct metrics *, metrics_free)

/* *ret_text is borrowed until the next call. -ENOMEM. */
int metrics_render(struct metrics *metrics, bool open_metrics, const char **ret_text,
		   size_t *ret_length, struct error *e);
