#include "cli/interrupt.h"

#include <stddef.h>

static volatile int interrupted;

static void on_interrupt(int signal_number)
{
	interrupted = signal_number;
}

static const struct sigaction action = {.sa_handler = on_interrupt,
					.sa_flags = (int)SA_RESETHAND | SA_RESTART};

const volatile int *lt_interrupt_begin(struct lt_interrupt *interrupt)
{
	interrupt->term = false;
	sigaction(SIGINT, &action, &interrupt->before);
	return &interrupted;
}

void lt_interrupt_at_term(struct lt_interrupt *interrupt)
{
	interrupt->term = true;
	sigaction(SIGTERM, &action, &interrupt->before_term);
}

int lt_interrupt_number(void)
{
	return interrupted;
}

void lt_interrupt_end(struct lt_interrupt *interrupt)
{
	sigaction(SIGINT, &interrupt->before, NULL);
	if (interrupt->term)
		sigaction(SIGTERM, &interrupt->before_term, NULL);
}
