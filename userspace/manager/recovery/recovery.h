/* SPDX-License-Identifier: Apache-2.0 */
/* The check of a running store: the public header of this room. */
#pragma once

#include "manager/recovery/store_fsck.h"
