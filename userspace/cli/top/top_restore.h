/* SPDX-License-Identifier: Apache-2.0 */
/* Restores the terminal when a signal ends the program, also while it waits for the agent. */
#pragma once

#include "base/error.h"

/* Remembers how the terminal is now, and catches signals. -EINVAL: the terminal is not known, or
 * cannot move its cursor; -ENOTTY. */
int top_restore_prepare(struct error *e);
/* The terminal has been restored. */
void top_restore_forget(void);
