#include "cli/interrupt.h"

#include <stddef.h>

static volatile int interrupted;

static void on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

const volatile int *lt_interrupt_begin(struct lt_interrupt *interrupt)
{
	struct sigaction action = {.sa_handler = on_interrupt,
				   .sa_flags = (int)SA_RESETHAND | SA_RESTART};
	sigaction(SIGINT, &action, &interrupt->before);
	return &interrupted;
}

void lt_interrupt_end(struct lt_interrupt *interrupt)
{
	sigaction(SIGINT, &interrupt->before, NULL);
}
