/* SPDX-License-Identifier: Apache-2.0 */
/* Images into and out of the store: the public header of this room. */
#pragma once

#include "manager/images/image_by_blob.h"
#include "manager/images/image_export.h"
#include "manager/images/image_import.h"
#include "manager/images/image_pack.h"
