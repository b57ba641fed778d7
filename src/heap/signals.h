/*
 * signals.h: what a Python program does on signals: the table of handlers of the interpreter, which is in no object.
 */
#ifndef LT_HEAP_SIGNALS_H
#define LT_HEAP_SIGNALS_H

#include "heap/view.h"

enum { LT_SIGNALS = 65 }; /* NSIG of Linux; 0 is none */

/*
 * Where the table lies (Modules/signalmodule.c: Handlers, from 3.12 on in _PyRuntime): found by what is in it, since
 * stripped builds have no symbol of it. 0: not found, or the program has handlers for most signals.
 */
lt_addr lt_signals_find(const struct lt_view *view);

/* The handler of each signal: a function, an int for the system's own way, None, or 0. False: it cannot be read. */
bool lt_signals_read(const struct lt_view *view, lt_addr table, lt_addr ret_handlers[LT_SIGNALS]);

#endif
