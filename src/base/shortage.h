/*
 * shortage.h: whether memory ran out anywhere in this process.
 *
 * A list that could not grow, a name that could not be copied or a member of JSON that could not be added is noticed where it happens, and
 * mostly passed on from there; what is not passed on would be an answer that lacks something and does not say so. Each container of base/
 * notes its failures here, and no answer leaves lowtide after one. Safe from any thread.
 */
#ifndef LT_BASE_SHORTAGE_H
#define LT_BASE_SHORTAGE_H

#include <stdbool.h>

void lt_shortage_note(void);
bool lt_shortage(void);

#endif
