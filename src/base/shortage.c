#include "base/shortage.h"

#include <stdatomic.h>

static atomic_bool noted;

void lt_shortage_note(void)
{
	noted = true;
}

bool lt_shortage(void)
{
	return noted;
}
