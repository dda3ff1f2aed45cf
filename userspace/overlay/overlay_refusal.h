/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a sentence of the errno with which the kernel refused an overlay mount: most of them mean
 * something else there than they say. */
#pragma once

#include "base/error.h"
#include "overlay/overlay_options.h"

/* `kernel_says` is what the kernel wrote to the mount's context, "" for nothing. Looks into the
 * store to name the layer at fault. Returns code. */
int overlay_refusal_explain(int store, const struct overlay_spec *spec, int code,
			    const char *kernel_says, struct error *e);
