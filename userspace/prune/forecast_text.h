/* SPDX-License-Identifier: Apache-2.0 */
/* A forecast as a text for the database, and back. */
#pragma once

#include "base/strbuf.h"
#include "prune/forecast.h"

/* -ENOMEM. */
int forecast_text_write(const struct forecast *f, struct strbuf *out);
/* Leaves a forecast that has learned nothing, and returns -EINVAL, for a text of another version or
 * one that is damaged. */
int forecast_text_read(const char *text, struct forecast *ret_forecast);
