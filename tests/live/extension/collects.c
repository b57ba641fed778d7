/* C code that asks for collections: from a call of Python, and from a thread of its own. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <pthread.h>

static PyObject *collect(PyObject *self, PyObject *arguments)
{
	(void)self;
	(void)arguments;
	return PyLong_FromSsize_t(PyGC_Collect());
}

static void *run(void *argument)
{
	(void)argument;
	PyGILState_STATE state = PyGILState_Ensure();
	PyGC_Collect();
	PyGILState_Release(state);
	return NULL;
}

static PyObject *collect_in_thread(PyObject *self, PyObject *arguments)
{
	pthread_t thread;
	(void)self;
	(void)arguments;
	PyThreadState *saved = PyEval_SaveThread();
	if (pthread_create(&thread, NULL, run, NULL) == 0)
		pthread_join(thread, NULL);
	PyEval_RestoreThread(saved);
	Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"collect", collect, METH_NOARGS, NULL},
				{"collect_in_thread", collect_in_thread, METH_NOARGS, NULL},
				{NULL, NULL, 0, NULL}};

static struct PyModuleDef module = {
	PyModuleDef_HEAD_INIT, "collects", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_collects(void)
{
	return PyModule_Create(&module);
}
