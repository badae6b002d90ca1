#include "weft/ops/ops.h"
