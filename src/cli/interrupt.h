/*
 * interrupt.h: the first interrupt (Ctrl-C) ends a watch early with what there is; a second one ends lowtide as always.
 */
#ifndef LT_CLI_INTERRUPT_H
#define LT_CLI_INTERRUPT_H

#include <signal.h>
#include <stdbool.h>

struct lt_interrupt {
	struct sigaction before, before_term;
	bool term;
};

/* The flag that is not 0 after an interrupt. */
const volatile int *lt_interrupt_begin(struct lt_interrupt *interrupt);
/* SIGTERM is such an interrupt too: something is to be finished, and a service manager waits for that. */
void lt_interrupt_at_term(struct lt_interrupt *interrupt);
/* The last signal that was such an interrupt, 0: none was. */
int lt_interrupt_number(void);
void lt_interrupt_end(struct lt_interrupt *interrupt);

#endif
