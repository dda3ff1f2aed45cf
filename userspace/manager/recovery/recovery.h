/* SPDX-License-Identifier: Apache-2.0 */
/* The check and the backup of a running store: the public header of this room. */
#pragma once

#include "manager/recovery/store_backup.h"
#include "manager/recovery/store_fsck.h"
