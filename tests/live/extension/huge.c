/* huge: a C extension with a gibibyte of static data (tests/live/test_roots.py). */
#include <Python.h>

char huge_table[1 << 30];

static struct PyModuleDef huge_module = {PyModuleDef_HEAD_INIT, "huge"};

PyMODINIT_FUNC PyInit_huge(void)
{
	huge_table[sizeof(huge_table) / 2] = 1;
	return PyModule_Create(&huge_module);
}
