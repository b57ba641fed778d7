#include "base/status.h"

int lt_status_exit_code(enum lt_status status)
{
	switch (status) {
	case LT_OK:
		return 0;
	case LT_E_USAGE:
		return 2;
	case LT_E_NOT_PYTHON:
		return 3;
	case LT_E_PERMISSION:
		return 4;
	case LT_E_GONE:
		return 5;
	case LT_E_FILE:
		return 6;
	case LT_E_BUSY:
	case LT_E_READ:
	case LT_E_NO_MEMORY:
	case LT_E_INTERNAL:
		break;
	}
	return 70;
}

const char *lt_status_name(enum lt_status status)
{
	switch (status) {
	case LT_OK:
		return "ok";
	case LT_E_USAGE:
		return "usage";
	case LT_E_NOT_PYTHON:
		return "not-python";
	case LT_E_PERMISSION:
		return "permission";
	case LT_E_GONE:
		return "gone";
	case LT_E_FILE:
		return "file";
	case LT_E_BUSY:
		return "busy";
	case LT_E_READ:
		return "read";
	case LT_E_NO_MEMORY:
		return "no-memory";
	case LT_E_INTERNAL:
		return "internal";
	}
	return "unknown";
}
